from tools.runtime.oip_tensors import *
