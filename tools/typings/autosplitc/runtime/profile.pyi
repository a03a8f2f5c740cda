from tools.runtime.profile import *
