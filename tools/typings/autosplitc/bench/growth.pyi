from tools.bench.growth import *
