from tools.bench.plates_run import *
