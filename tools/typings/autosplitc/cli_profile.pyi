from compiler.cli_profile import *
