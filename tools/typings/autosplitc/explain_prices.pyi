from compiler.explain_prices import *
