from compiler.explain_deep import *
