from compiler.inspect_model import *
