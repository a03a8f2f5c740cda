from tools.bench.scalesim_process import *
