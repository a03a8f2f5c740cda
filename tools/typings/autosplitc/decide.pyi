from compiler.decide import *
