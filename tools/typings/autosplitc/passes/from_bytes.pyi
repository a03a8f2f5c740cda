from passes.from_bytes import *
