from compiler.target_cost import *
