from tools.zoo.light import *
