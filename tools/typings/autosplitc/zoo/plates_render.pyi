from tools.zoo.plates_render import *
