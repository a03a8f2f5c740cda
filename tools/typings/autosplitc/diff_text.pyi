from compiler.diff_text import *
