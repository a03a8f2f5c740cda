from compiler.codec_link import *
