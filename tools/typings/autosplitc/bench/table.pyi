from tools.bench.table import *
