from passes.round_weights import *
