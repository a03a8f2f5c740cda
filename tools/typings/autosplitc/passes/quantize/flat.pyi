from passes.quantize.flat import *
