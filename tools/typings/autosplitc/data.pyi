from compiler.data import *
