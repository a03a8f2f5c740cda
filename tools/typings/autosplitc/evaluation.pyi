from compiler.evaluation import *
