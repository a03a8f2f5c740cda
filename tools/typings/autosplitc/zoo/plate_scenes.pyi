from tools.zoo.plate_scenes import *
