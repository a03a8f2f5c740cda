from compiler.cache import *
