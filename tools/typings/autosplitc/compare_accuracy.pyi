from compiler.compare_accuracy import *
