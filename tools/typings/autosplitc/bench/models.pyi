from tools.bench.models import *
