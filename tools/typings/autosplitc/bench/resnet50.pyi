from tools.bench.resnet50 import *
