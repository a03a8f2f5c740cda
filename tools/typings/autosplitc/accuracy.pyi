from compiler.accuracy import *
