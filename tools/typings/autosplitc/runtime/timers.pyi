from tools.runtime.timers import *
