from tools.runtime.answers import *
