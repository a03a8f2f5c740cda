from tools.bench.accuracy_time import *
