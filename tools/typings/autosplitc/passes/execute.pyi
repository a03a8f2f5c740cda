from passes.execute import *
