from tools.bench.scalesim_rows import *
