from ir.onnx_wire import *
