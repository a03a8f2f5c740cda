from compiler.tables import *
