from passes.cache_keys import *
