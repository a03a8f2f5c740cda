from tools.bench.scalesim import *
