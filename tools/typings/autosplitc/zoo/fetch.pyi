from tools.zoo.fetch import *
