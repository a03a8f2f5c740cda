from tools.runtime.folders import *
