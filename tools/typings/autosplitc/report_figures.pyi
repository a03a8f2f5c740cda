from compiler.report_figures import *
