from tools.runtime.server import *
