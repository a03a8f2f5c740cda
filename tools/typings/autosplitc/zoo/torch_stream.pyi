from tools.zoo.torch_stream import *
