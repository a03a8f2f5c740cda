from passes.partition import *
