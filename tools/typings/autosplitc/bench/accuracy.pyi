from tools.bench.accuracy import *
