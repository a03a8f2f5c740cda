from compiler.like import *
