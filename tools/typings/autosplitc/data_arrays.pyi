from compiler.data_arrays import *
