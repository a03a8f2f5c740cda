from passes.codec_plans import *
