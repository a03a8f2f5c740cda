from tools.runtime.edge import *
