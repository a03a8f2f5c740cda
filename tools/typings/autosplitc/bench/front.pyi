from tools.bench.front import *
