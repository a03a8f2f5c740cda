from passes.enumerate_splits import *
