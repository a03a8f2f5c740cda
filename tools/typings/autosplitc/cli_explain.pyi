from compiler.cli_explain import *
