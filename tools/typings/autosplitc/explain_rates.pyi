from compiler.explain_rates import *
