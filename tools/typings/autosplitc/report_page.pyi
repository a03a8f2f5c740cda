from compiler.report_page import *
