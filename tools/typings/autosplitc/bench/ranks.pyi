from tools.bench.ranks import *
