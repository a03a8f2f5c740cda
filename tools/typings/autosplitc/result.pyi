from compiler.result import *
