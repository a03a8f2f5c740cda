"""Place of the edge client and cloud server. It is empty: until they are there, any ONNX server and ONNX Runtime run the two graphs."""
