from compiler.cli_compile import *
