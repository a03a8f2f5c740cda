from compiler.explain_rules import *
