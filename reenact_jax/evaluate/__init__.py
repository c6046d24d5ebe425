"""Evaluation on held-out people: compare.py scores pictures, papers/ what single papers measure."""
