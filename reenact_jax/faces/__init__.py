"""Faces in images: `Detector` finds them, `choose` picks one, mesh.py turns a mesh into points."""

from reenact_jax.faces.detect import Detected, Detector, action_units, choose, gaze
from reenact_jax.faces.model import find_model
from reenact_jax.faces.points import AnyDetector, PointDetector
from reenact_jax.faces.segment import SELFIE, segmenter

__all__ = [
    'SELFIE',
    'AnyDetector',
    'Detected',
    'Detector',
    'PointDetector',
    'action_units',
    'choose',
    'find_model',
    'gaze',
    'segmenter',
]
