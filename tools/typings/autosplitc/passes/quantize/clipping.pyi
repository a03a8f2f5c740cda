from passes.quantize.clipping import *
