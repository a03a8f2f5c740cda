from compiler.report_graph import *
