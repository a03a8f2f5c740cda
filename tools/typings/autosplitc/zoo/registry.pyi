from tools.zoo.registry import *
