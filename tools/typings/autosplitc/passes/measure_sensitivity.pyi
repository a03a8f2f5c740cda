from passes.measure_sensitivity import *
