from compiler.engine import *
