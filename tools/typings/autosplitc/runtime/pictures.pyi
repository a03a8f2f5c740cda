from tools.runtime.pictures import *
