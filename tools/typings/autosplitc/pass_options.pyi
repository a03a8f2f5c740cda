from compiler.pass_options import *
