from tools.runtime.errors import *
