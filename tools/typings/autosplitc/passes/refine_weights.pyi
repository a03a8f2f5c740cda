from passes.refine_weights import *
