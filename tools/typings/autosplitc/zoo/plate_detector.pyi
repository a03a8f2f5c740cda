from tools.zoo.plate_detector import *
