from tools.zoo.plates_metric import *
