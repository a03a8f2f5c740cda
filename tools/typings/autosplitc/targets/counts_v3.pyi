from targets.counts_v3 import *
