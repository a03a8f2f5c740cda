from compiler.explain_cuts import *
