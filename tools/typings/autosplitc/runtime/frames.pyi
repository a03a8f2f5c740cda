from tools.runtime.frames import *
