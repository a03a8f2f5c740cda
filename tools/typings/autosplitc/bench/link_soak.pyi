from tools.bench.link_soak import *
