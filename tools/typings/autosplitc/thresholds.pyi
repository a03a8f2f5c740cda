from compiler.thresholds import *
