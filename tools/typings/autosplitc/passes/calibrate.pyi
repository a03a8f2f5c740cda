from passes.calibrate import *
