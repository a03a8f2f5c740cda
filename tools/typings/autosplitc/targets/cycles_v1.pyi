from targets.cycles_v1 import *
