from tools.runtime.packing import *
