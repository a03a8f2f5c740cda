from passes.equalize_weights import *
