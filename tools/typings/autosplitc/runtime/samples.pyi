from tools.runtime.samples import *
