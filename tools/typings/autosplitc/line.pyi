from compiler.line import *
