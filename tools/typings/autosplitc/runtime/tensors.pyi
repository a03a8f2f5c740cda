from tools.runtime.tensors import *
