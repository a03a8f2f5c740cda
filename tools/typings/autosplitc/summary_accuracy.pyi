from compiler.summary_accuracy import *
