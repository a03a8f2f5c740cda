from passes.downstream import *
