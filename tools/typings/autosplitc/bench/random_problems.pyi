from tools.bench.random_problems import *
