from tools.bench.link_packing import *
