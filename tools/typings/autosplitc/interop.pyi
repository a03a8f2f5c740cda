from compiler.interop import *
