from tools.bench.wire import *
