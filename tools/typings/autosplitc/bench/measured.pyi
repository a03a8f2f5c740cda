from tools.bench.measured import *
