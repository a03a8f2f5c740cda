from tools.zoo.entries import *
