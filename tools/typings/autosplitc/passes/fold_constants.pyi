from passes.fold_constants import *
