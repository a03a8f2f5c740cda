from passes.equalize_groups import *
