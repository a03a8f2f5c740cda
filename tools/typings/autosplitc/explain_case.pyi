from compiler.explain_case import *
