from passes.fuse_activations import *
