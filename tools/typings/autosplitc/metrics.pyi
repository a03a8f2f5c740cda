from compiler.metrics import *
