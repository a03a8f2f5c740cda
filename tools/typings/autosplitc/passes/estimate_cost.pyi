from passes.estimate_cost import *
