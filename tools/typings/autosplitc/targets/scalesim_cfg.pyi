from targets.scalesim_cfg import *
