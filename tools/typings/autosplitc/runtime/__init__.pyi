from tools.runtime import *
