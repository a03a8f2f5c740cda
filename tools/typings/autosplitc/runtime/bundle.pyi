from tools.runtime.bundle import *
