from compiler.report_layout import *
