from passes.codecs import *
