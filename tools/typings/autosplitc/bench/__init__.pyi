from tools.bench import *
