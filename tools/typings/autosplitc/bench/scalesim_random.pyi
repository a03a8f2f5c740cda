from tools.bench.scalesim_random import *
