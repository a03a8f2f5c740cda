from tools.bench.synthetic import *
