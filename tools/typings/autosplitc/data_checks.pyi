from compiler.data_checks import *
