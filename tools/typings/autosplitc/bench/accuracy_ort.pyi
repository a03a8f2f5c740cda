from tools.bench.accuracy_ort import *
