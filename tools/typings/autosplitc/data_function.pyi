from compiler.data_function import *
