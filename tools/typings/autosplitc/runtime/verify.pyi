from tools.runtime.verify import *
