from tools.runtime.client import *
