from tools.zoo.mobilenet_v2 import *
