from tools.bench.link_fuzz_client import *
