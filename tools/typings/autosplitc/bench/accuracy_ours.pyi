from tools.bench.accuracy_ours import *
