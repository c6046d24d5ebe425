"""Trained models as bundles that run alone, and as ONNX."""
