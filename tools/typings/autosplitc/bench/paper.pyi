from tools.bench.paper import *
