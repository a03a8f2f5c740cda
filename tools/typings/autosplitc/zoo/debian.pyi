from tools.zoo.debian import *
