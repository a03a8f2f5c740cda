from passes.quantize.insert import *
