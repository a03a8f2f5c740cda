from passes.quantize.errors import *
