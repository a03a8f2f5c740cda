from compiler.data_images import *
