from targets.probe_ops import *
