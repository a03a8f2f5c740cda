from tools.runtime.cli_values import *
