from passes.fewest_bits import *
