from compiler.diff import *
