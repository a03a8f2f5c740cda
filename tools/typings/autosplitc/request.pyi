from compiler.request import *
