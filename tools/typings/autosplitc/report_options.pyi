from compiler.report_options import *
