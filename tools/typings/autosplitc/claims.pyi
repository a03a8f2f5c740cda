from compiler.claims import *
