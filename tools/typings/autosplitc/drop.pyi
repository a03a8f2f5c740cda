from compiler.drop import *
