from passes.output_sensitivity import *
