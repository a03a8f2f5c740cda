from tools.bench.startup import *
