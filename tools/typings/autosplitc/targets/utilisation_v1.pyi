from targets.utilisation_v1 import *
