from tools.runtime.oip import *
