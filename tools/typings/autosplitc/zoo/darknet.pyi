from tools.zoo.darknet import *
