from passes.planner import *
