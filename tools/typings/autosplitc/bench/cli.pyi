from tools.bench.cli import *
