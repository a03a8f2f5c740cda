from compiler.spell import *
