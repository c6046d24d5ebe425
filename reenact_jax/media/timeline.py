"""When frames are shown: seconds on one clock, whose zero is where picture or sound begins.

Frames that are evenly spaced have an exact rate, whatever their container rounds times to; others
keep their own times.
"""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

# What containers round times to, seconds: Matroska to milliseconds. Finer ones are not needed.
TICK = 0.001
COMMON = (
    *(Fraction(n) for n in (25, 30, 24, 50, 60, 15, 10, 12, 20, 100, 120, 5, 1)),
    *(Fraction(n * 1000, 1001) for n in (24, 30, 60, 120)),
    Fraction(25, 2),
)  # frames a second
DEFAULT = Fraction(25)  # frames a second where nothing says how many


class Timeline(NamedTuple):
    """The times of a stream's frames, in the order in which they are shown."""

    times: Float[np.ndarray, ' t']  # seconds at which each begins
    end: float  # seconds at which the last one ends
    rate: Fraction | None  # exact frames a second; None: they are not evenly spaced

    @property
    def mean(self) -> Fraction:
        """The rate, or the mean rate of frames that are not evenly spaced."""
        if self.rate or not len(self.times):
            return self.rate or DEFAULT
        length = max(float(self.times[-1] - self.times[0]), TICK)
        return Fraction(max(len(self.times) - 1, 1) / length).limit_denominator(1001)

    def spread(self, count: int) -> frozenset[int]:
        """Choose at most `count` frames, evenly spread in time, first and last included."""
        return spread(self.times, count)


def even(count: int, rate: Fraction, begin: float = 0.0) -> Timeline:
    """Return the timeline of frames at a constant rate."""
    times = begin + np.arange(count) / float(rate)
    return Timeline(times, begin + count / float(rate), rate)


def read(
    times: Sequence[float] | Float[np.ndarray, ' t'],
    end: float | None = None,
    rates: Iterable[Fraction | None] = (),
    tick: float = TICK,
) -> Timeline:
    """Make a timeline of times as a container or a table states them.

    Args:
      times: seconds, in any order.
      end: seconds at which the last frame ends; None: it lasts as long as the one before.
      rates: frames a second that the file promises, tried first.
      tick: seconds to which its times are rounded.
    """
    ordered = np.unique(np.asarray(times, np.float64))
    if len(ordered) < 2:
        rate = next((rate for rate in rates if rate), None)
        begin = float(ordered[0]) if len(ordered) else 0.0
        length = float(1 / rate) if rate else None if end is None else end - begin
        last = begin + (length or float(1 / DEFAULT)) * len(ordered)
        return Timeline(ordered, last, rate)
    for rate in _candidates(ordered, rates):
        begin = _begin(ordered, rate, max(tick, TICK))
        if begin is not None:
            return even(len(ordered), rate, begin)
    if end is None or end <= ordered[-1]:
        end = float(2 * ordered[-1] - ordered[-2])
    return Timeline(ordered, end, None)


def _candidates(times: Float[np.ndarray, ' t'], promised: Iterable) -> Iterator[Fraction]:
    for rate in (Fraction(rate) for rate in promised if rate):
        # Guesses of times that were rounded: 19001/317 is meant to be 60000/1001.
        yield from (one for one in COMMON if abs(one - rate) < rate / 5000)
        yield rate
    mean = (len(times) - 1) / float(times[-1] - times[0])
    yield from sorted(COMMON, key=lambda rate: abs(float(rate) - mean))[:2]
    yield Fraction(mean).limit_denominator(1001)


def _begin(times: Float[np.ndarray, ' t'], rate: Fraction, tick: float) -> float | None:
    """Return where frames of this rate begin; None if the times are not of this rate."""
    ideal = np.arange(len(times)) / float(rate)
    off = times - ideal
    middle = float(off.max() + off.min()) / 2
    if np.abs(off - middle).max() > min(tick * 0.6, 0.25 / float(rate)):
        return None
    # The first time is exact where rounding allows it: nought stays nought.
    return float(times[0]) if np.abs(off - times[0]).max() <= 1.05 * tick else middle


def spread(times: Sequence[float] | Float[np.ndarray, ' t'], count: int) -> frozenset[int]:
    """Choose at most `count` of these times, evenly spread in time, first and last included."""
    times = np.asarray(times)
    if count >= len(times):
        return frozenset(range(len(times)))
    if count < 1:
        return frozenset()
    wanted = np.linspace(times[0], times[-1], count)
    after = np.clip(np.searchsorted(times, wanted), 1, len(times) - 1)
    nearer = wanted - times[after - 1] < times[after] - wanted
    return frozenset(int(i) for i in after - nearer)


class Ticks:
    """Counts how often frames are shown when they are put on the grid of a constant rate.

    A tick shows what is on the screen in the middle of it. What comes first is shown from nought,
    for a tick at least.
    """

    def __init__(self, rate: Fraction):
        """Begin at nought.

        Args:
          rate: frames a second.
        """
        self.rate, self.given = Fraction(rate), 0

    def upto(self, end: float) -> int:
        """Return for how many ticks a frame is shown that ends at `end`, seconds."""
        total = max(int(np.ceil(end * float(self.rate) - 0.5 - 1e-6)), self.given, 1)
        shown, self.given = total - self.given, total
        return shown


def ends(stream: Iterable[tuple[Any, float]], last: float) -> Iterator[tuple[Any, float, float]]:
    """Give every frame of (frame, begin) the time at which it ends: that of the next one.

    Args:
      stream: frames with the times at which they begin, in order; times that a broken file lets go
        back are put right after the ones before.
      last: seconds at which the last one ends, where that is after its begin.
    """
    before = None
    for frame, begin in stream:
        if before is not None:
            begin = max(begin, before[1] + TICK)
            yield *before, begin
        before = frame, begin
    if before is not None:
        yield *before, max(last, before[1] + TICK)
