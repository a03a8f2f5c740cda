from tools.zoo import *
