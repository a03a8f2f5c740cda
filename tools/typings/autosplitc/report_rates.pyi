from compiler.report_rates import *
