from tools.runtime.sender import *
