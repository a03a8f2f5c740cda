from tools.zoo.fashion_data import *
