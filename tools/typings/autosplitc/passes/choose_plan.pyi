from passes.choose_plan import *
