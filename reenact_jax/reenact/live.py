"""A portrait moved by a camera: one frame in, one frame out, and nothing ahead of time.

Points are taken as they are found: a filter would delay them, or need the frames to come.
"""

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, UInt8

from reenact_jax import faces
from reenact_jax.faces.following import Follower
from reenact_jax.reenact import drivers
from reenact_jax.reenact.animation import Animation


class LiveFrame(NamedTuple):
    """The portrait as it is now."""

    image: UInt8[np.ndarray, 'h w 3']
    found: bool  # whether the camera shows a face; without one the motion before is held


class Live:
    """A portrait that follows the largest face before a camera."""

    def __init__(self, animation: Animation, detector: faces.AnyDetector):
        """Begin before the first frame.

        Args:
          animation: the portrait, the bundle and the options; its batch does not count.
          detector: what finds faces; nobody else may call it at the same time.
        """
        options = dataclasses.replace(animation.options, batch=1)
        self._animation = dataclasses.replace(animation, options=options)
        bundle, self._taken = animation.bundle, (np.zeros((1, 1, 3), np.uint8), 0.0)
        follower = Follower(detector, where='the camera')
        spec = bundle.size, bundle.points, follower
        self._faces = drivers.detected(self._coming(), *spec, seen=bundle.sees)
        # All programs are compiled here, and not while the first frame waits.
        first = self._animation.source.face() if options.is_relative else None
        self._begun, self._shot = self._animation.begin(first), -1
        self._last = self._drawn(np.asarray(self._animation.own())[None])

    def __call__(self, image: UInt8[np.ndarray, 'h w 3'], time: float) -> LiveFrame:
        """Draw the portrait as a frame of the camera moves it.

        Args:
          image: RGB.
          time: seconds at which it was taken; they grow.

        Raises:
          UserError: the model draws values that are not finite.
        """
        self._taken = image, time
        frame = next(self._faces)
        if frame.face is None:
            return LiveFrame(self._last, False)
        moving = {name: np.array(value, np.float32)[None] for name, value in frame.face.items()}
        if self._animation.options.is_relative and frame.shot != self._shot:
            self._begun, self._shot = self._animation.begin(moving, self._begun), frame.shot
        points = self._animation.edited(self._animation.moved(self._begun, moving))
        self._last = self._drawn(np.asarray(points))
        return LiveFrame(self._last, True)

    def _drawn(self, points: Float[np.ndarray, '1 n _']) -> UInt8[np.ndarray, 'h w 3']:
        painter = self._animation.painter
        return painter.finish(jax.device_get(painter.draw(points, 1))[0])

    def _coming(self) -> Iterator[tuple[np.ndarray, float, float]]:
        while True:
            image, time = self._taken
            yield image, time, time
