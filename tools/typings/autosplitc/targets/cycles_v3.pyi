from targets.cycles_v3 import *
