from passes.weight_errors import *
