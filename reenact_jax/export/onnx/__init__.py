"""A bundle's functions as ONNX files, checked against onnxruntime."""
