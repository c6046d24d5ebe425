"""Where a face looks and what it does: points, head angles and action units by MediaPipe.

A detector of the user's own gives points alone: what needs angles or action units is not measured.
"""

import concurrent.futures
import os
import threading
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from PIL import Image

from reenact_jax import faces
from reenact_jax.common import outside
from reenact_jax.evaluate.estimators.cards import Card
from reenact_jax.faces.model import SHA256
from reenact_jax.geometry import images

_LEAST = 256  # smaller images are enlarged to this side: the detector misses small faces
_THREADS = 8  # most detectors that run at once


class Faces(NamedTuple):
    """Faces that were found in b images; zeros where `found` is false."""

    found: Bool[np.ndarray, ' b']
    points: Float[np.ndarray, 'b 68 2']  # iBUG's, pixels of the image
    aus: Float[np.ndarray, 'b 20']  # as in tracks.py
    known: Bool[np.ndarray, 'b 20']
    points3d: Float[np.ndarray, 'b 68 3'] | None = None  # `points` with depth, where it is known

    def at(self, rows) -> 'Faces':
        """Return the faces of some images."""
        values: list[Any] = [value if value is None else value[rows] for value in self]
        return Faces(*values)


class Attributes:
    """A detector of faces on every image by itself; a context manager."""

    def __init__(
        self, model: str | None = None, threads: int | None = None, own: str | None = None
    ):
        """Open the first detector.

        Args:
          model: the model's file, see `faces.find_model`.
          threads: how many detectors run at once; of the user's own, one.
          own: a detector of the user's own (faces/points.py); None: MediaPipe's.

        Raises:
          UserError: MediaPipe, the model file or the user's detector is missing.
        """
        threads = 1 if own else threads or min(os.cpu_count() or 1, _THREADS)
        self._local = threading.local()
        self._model, self._own = model, own
        self._open: list[faces.AnyDetector] = []
        if own:
            self._open.append(faces.PointDetector(own, '--attributes'))
            self.card = Card('points', own, outside.version(own), 'of its own', '')
        else:
            self._open.append(faces.Detector(model, faces=1))
            self.card = Card(
                'points, head pose, action units', 'MediaPipe Face Landmarker',
                self._open[0].name, 'Apache-2.0', SHA256,
            )  # fmt: skip
        self._spare = list(self._open)
        self._lock = threading.Lock()
        self._pool = concurrent.futures.ThreadPoolExecutor(threads)

    def __enter__(self):
        return self

    def __exit__(self, *trace):
        self._pool.shutdown()
        for detector in self._open:
            detector.__exit__(*trace)

    def __call__(self, image: Float[np.ndarray, 'b h w 3']) -> Faces:
        """Find the largest face of every image in [-1, 1]."""
        pixels = np.asarray(images.to_uint8(image))
        rows = list(self._pool.map(self._one, pixels))
        found = Faces(*(np.stack(column) for column in zip(*rows, strict=True)))
        return found._replace(points3d=None) if self._own else found

    def _one(self, pixels) -> tuple:
        """Measure one image; a row of `Faces`."""
        side = pixels.shape[0]
        if side < _LEAST:
            shape = (_LEAST * pixels.shape[1] // side, _LEAST)
            pixels = np.asarray(Image.fromarray(pixels).resize(shape, Image.Resampling.BICUBIC))
        detections = self._detector().detect(pixels)
        if not detections:
            nothing = np.zeros((68, 3), np.float32), np.zeros(20, np.float32), np.zeros(20, bool)
            return np.bool_(False), nothing[0][:, :2], *nothing[1:], nothing[0]
        face = detections[0]
        points = face.landmarks('68c') * np.float32(side / pixels.shape[0])
        return np.bool_(True), points[:, :2], face.aus, face.aus_valid, points

    def _detector(self) -> faces.AnyDetector:
        """Return this thread's own detector: MediaPipe's detectors cannot be shared by threads."""
        if not hasattr(self._local, 'detector'):
            with self._lock:
                if not self._spare:
                    self._open.append(faces.Detector(self._model, faces=1))
                    self._spare.append(self._open[-1])
                self._local.detector = self._spare.pop()
        return self._local.detector
