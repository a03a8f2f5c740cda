from tools.bench.accuracy_subject import *
