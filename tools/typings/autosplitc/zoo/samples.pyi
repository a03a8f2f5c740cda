from tools.zoo.samples import *
