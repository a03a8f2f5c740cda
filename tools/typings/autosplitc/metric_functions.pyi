from compiler.metric_functions import *
