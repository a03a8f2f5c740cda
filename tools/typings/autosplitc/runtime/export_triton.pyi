from tools.runtime.export_triton import *
