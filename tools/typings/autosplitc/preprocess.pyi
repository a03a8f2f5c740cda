from compiler.preprocess import *
