from passes.quantize import *
