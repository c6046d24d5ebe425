"""The two halves of "One-Shot Identity-Preserving Portrait Reenactment", a system each.

They share no network and are trained apart: `ldnet` moves landmarks, `fdgan` makes images.
"""
