from passes.measured_outputs import *
