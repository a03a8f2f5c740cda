from passes.probes import *
