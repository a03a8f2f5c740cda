from passes.assign_bits import *
