from passes.codec_sizes import *
