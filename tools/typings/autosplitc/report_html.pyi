from compiler.report_html import *
