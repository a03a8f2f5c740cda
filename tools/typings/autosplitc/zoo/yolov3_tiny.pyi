from tools.zoo.yolov3_tiny import *
