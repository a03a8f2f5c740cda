from targets.counts_v3_dram import *
