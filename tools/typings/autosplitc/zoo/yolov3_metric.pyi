from tools.zoo.yolov3_metric import *
