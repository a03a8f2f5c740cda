from tools.bench.paper_page import *
