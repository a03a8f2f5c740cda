from compiler.runtime_options import *
