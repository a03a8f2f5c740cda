from passes.rounding_cache import *
