from passes.find_front import *
