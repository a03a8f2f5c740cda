from tools.zoo.pictures import *
