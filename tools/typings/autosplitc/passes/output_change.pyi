from passes.output_change import *
