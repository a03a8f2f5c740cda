from passes.measure_wire import *
