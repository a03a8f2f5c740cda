from tools.runtime.run import *
