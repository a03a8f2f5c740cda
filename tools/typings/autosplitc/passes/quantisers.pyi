from passes.quantisers import *
