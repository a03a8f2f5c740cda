from tools.runtime.cli_flags import *
