from tools.zoo.nodes import *
