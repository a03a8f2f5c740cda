from tools.bench.link_server import *
