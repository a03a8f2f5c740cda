from tools.runtime.connection import *
