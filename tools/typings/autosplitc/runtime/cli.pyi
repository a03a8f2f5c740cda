from tools.runtime.cli import *
