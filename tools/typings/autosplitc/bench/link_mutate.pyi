from tools.bench.link_mutate import *
