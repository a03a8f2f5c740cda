from tools.bench.accuracy_sensitivity import *
