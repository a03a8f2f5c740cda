from tools.bench.link_fuzz import *
