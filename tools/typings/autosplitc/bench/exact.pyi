from tools.bench.exact import *
