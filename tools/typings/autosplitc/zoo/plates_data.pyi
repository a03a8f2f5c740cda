from tools.zoo.plates_data import *
