from compiler.hooks import *
