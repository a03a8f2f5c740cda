from compiler.explain_text import *
