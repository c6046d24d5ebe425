"""Trained models as bundles, which run alone, and as ONNX files."""
