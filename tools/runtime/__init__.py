"""What runs on devices: the program that measures one. Any ONNX server and ONNX Runtime run the two graphs."""
