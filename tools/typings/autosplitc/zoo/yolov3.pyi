from tools.zoo.yolov3 import *
