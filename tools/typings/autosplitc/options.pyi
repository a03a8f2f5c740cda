from compiler.options import *
