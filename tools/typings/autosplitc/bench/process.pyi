from tools.bench.process import *
