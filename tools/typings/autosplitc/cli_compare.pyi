from compiler.cli_compare import *
