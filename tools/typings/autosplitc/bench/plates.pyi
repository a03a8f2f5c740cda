from tools.bench.plates import *
