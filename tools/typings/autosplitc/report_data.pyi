from compiler.report_data import *
