from compiler.sizes import *
