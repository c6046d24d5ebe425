"""Evaluation on held-out people: pictures (frames.py), landmark codes and transfer (lmtest.py)."""
