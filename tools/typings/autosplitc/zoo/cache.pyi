from tools.zoo.cache import *
