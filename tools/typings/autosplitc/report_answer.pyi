from compiler.report_answer import *
