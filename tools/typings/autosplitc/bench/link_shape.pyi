from tools.bench.link_shape import *
