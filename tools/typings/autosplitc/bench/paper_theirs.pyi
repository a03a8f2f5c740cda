from tools.bench.paper_theirs import *
