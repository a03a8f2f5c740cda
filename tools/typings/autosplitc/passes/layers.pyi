from passes.layers import *
