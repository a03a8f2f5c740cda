from compiler.prologue import *
