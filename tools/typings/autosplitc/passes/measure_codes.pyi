from passes.measure_codes import *
