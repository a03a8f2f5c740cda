from compiler.measure import *
