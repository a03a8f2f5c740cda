from compiler.cli_targets import *
