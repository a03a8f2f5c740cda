from tools.bench.costs import *
