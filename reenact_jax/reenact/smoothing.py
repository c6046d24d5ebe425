"""Less jitter: the 1 euro filter (Casiez, Roussel, Vogel 2012) over a driver's faces.

A first-order low pass whose cutoff grows with speed: still faces hold still, quick ones do not lag.
"""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import Float

from reenact_jax.geometry import landmarks as lm

# Hz, and Hz per unit of speed (ours). Points are filtered in sides of the face's box, so that a
# quick turn of the head, two sides a second, is followed at some 20 Hz.
CUTOFF, SLOPE, SPEED_CUTOFF = 1.5, 10.0, 1.0
SMOOTHED = ('landmarks', 'landmarks3d', 'aus')


class OneEuro:
    """The filter of one array of numbers."""

    def __init__(self, rate: float | Fraction, cutoff: float = CUTOFF, slope: float = SLOPE):
        """Start the filter.

        Args:
          rate: frames a second.
          cutoff: hz at rest.
          slope: hz per unit of speed.
        """
        self.rate, self.cutoff, self.slope = float(rate), cutoff, slope
        self._value: Any = None  # from the first frame on: arrays
        self._speed: Any = None

    def __call__(
        self, value: Float[np.ndarray, '*s'], scale: float = 1.0, rate: float | None = None
    ) -> np.ndarray:
        """Filter the value of the next frame.

        Args:
          value: the value.
          scale: unit in which speeds count, a second.
          rate: one by the seconds since the value before; None: the filter's.
        """
        rate = rate or self.rate
        if self._value is None:
            self._value, self._speed = np.float64(value), np.zeros_like(value, np.float64)
            return value
        speed = (value - self._value) * rate
        self._speed += _share(SPEED_CUTOFF, rate) * (speed - self._speed)
        cutoff = self.cutoff + self.slope * np.abs(self._speed) / scale
        self._value = self._value + _share(cutoff, rate) * (value - self._value)
        return self._value.astype(np.asarray(value).dtype)


def _share(cutoff, rate: float):
    """Return how much of the new value is taken."""
    return 1 / (1 + rate / (2 * np.pi * cutoff))


def smooth(
    faces: Iterable[dict | None],
    rate: float | Fraction,
    times: Sequence[tuple[float, float]] | None = None,
    shots: Sequence[int] | None = None,
) -> Iterator[dict | None]:
    """Filter a driver's faces (`portraits.known`, one crop for all); None stays None.

    Args:
      faces: the driver's.
      rate: frames a second.
      times: begin and end of every frame that has been read, seconds; None: by the rate.
      shots: number of the shot of every frame that has been read; each is filtered by itself.
    """
    filters: dict[str, OneEuro] = {}
    last, shot = None, 0
    for number, face in enumerate(faces):
        if face is None:
            yield None
            continue
        if shots and shots[number] != shot:
            last, shot = None, shots[number]
            filters.clear()
        now = times[number][0] if times is not None else number / float(rate)
        step = None if last is None else 1 / max(now - last, 1e-6)
        last = now
        side = 2 * float(lm.box(face['landmarks'])[1])
        result = dict(face)
        for name in SMOOTHED:
            if name in face:
                euro = filters.setdefault(name, OneEuro(rate))
                result[name] = euro(face[name], side if name != 'aus' else 1.0, step)
        yield result
