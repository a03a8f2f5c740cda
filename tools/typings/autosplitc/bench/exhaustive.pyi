from tools.bench.exhaustive import *
