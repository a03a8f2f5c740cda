from compiler.summary import *
