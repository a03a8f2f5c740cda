from compiler.qonnx import *
