from compiler.values import *
