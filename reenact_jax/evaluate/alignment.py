"""Whether the results of another program lie where ours do, in time and in the picture.

A program that drops its first frame, or crops anew, would be scored against the wrong frames or
pixels. Nothing is corrected here: what is found is said.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

MOST = 3  # frames of offset that are tried, in both directions
LEAST = 8  # fewest frames for an offset in time
_BETTER = 0.1  # by how much, of the error at 0, an offset has to be better
_CLEARER = 0.1  # by how much a correlation has to be larger than at 0
_FRAMES = 8  # frames in which the place is looked for


class Alignment(NamedTuple):
    """Where a result lies; zeros: in place, or not to be told."""

    frames: int  # the result at t shows the ground truth's (or driver's) frame t + frames
    right: int  # pixels by which the result lies to the right of the ground truth
    down: int


def measure(
    result: Float[np.ndarray, 'g h w 3'],
    truth: Float[np.ndarray, 'g h w 3'] | None,
    driving: Float[np.ndarray, 'g h w 3'],
) -> Alignment:
    """Look for an offset against the ground truth, or, in time alone, against the driver."""
    if truth is None:
        return Alignment(_by_motion(result, driving), 0, 0)
    frames = _by_error(result, truth)
    return Alignment(frames, *shift(*_overlap(result, truth, frames)))


def shift(
    result: Float[np.ndarray, 'g h w 3'], truth: Float[np.ndarray, 'g h w 3']
) -> tuple[int, int]:
    """Return by how many pixels pictures lie to the right of and below others: phase correlation.

    It is the median over some frames; 0 and 0 unless the error is clearly less there.
    """
    at = np.unique(np.linspace(0, len(result) - 1, min(_FRAMES, len(result))).round().astype(int))
    found = np.array([_shift(result[i].mean(-1), truth[i].mean(-1)) for i in at])
    right, down = np.median(found, 0).round().astype(int).tolist()
    height, width = result.shape[1:3]
    if 2 * abs(right) >= width or 2 * abs(down) >= height:
        return 0, 0
    there = [(max(n, 0), min(n, 0) or None) for n in (down, right)]  # where the result has both
    back = [(max(-n, 0), min(-n, 0) or None) for n in (down, right)]
    moved, place = (x[(at, *(slice(*span) for span in spans))] for x, spans in (
        (result, there), (truth, back),
    ))  # fmt: skip
    error = np.abs(result[at] - truth[at]).mean()
    return (right, down) if np.abs(moved - place).mean() < (1 - _BETTER) * error else (0, 0)


def _shift(one: Float[np.ndarray, 'h w'], other: Float[np.ndarray, 'h w']) -> tuple[int, int]:
    height, width = one.shape
    window = np.hanning(height)[:, None] * np.hanning(width)
    a, b = (np.fft.rfft2((image - image.mean()) * window) for image in (one, other))
    cross = a * np.conj(b)
    peak = np.fft.irfft2(cross / np.maximum(np.abs(cross), 1e-9), s=one.shape)
    if not np.ptp(one) or not np.ptp(other):
        return 0, 0
    down, right = np.unravel_index(np.argmax(peak), peak.shape)
    return int((right + width // 2) % width - width // 2), int(
        (down + height // 2) % height - height // 2
    )


def _by_error(result, truth) -> int:
    """Return the offset at which a result is most like the ground truth."""
    if len(result) < LEAST:
        return 0
    errors = {}
    for offset in range(-MOST, MOST + 1):
        one, other = _overlap(result, truth, offset)
        errors[offset] = float(np.abs(one - other).mean())
    best = min(errors, key=lambda offset: (errors[offset], abs(offset)))
    return best if errors[best] < (1 - _BETTER) * errors[0] else 0


def _by_motion(result, driving) -> int:
    """Return the offset at which a result moves when the driver does."""
    moved = [np.abs(np.diff(x, axis=0)).mean((1, 2, 3)) for x in (result, driving)]
    if len(moved[0]) < 2 * LEAST or min(float(np.std(x)) for x in moved) < 1e-6:
        return 0
    likeness = {}
    for offset in range(-MOST, MOST + 1):
        one, other = _overlap(moved[0], moved[1], offset)
        likeness[offset] = float(np.corrcoef(one, other)[0, 1])
    best = max(likeness, key=lambda offset: (likeness[offset], -abs(offset)))
    return best if likeness[best] > likeness[0] + _CLEARER else 0


def _overlap(one, other, offset: int):
    """Return frame t of one beside frame t + offset of the other, where there are both."""
    count = len(one) - abs(offset)
    first = max(-offset, 0)
    return one[first : first + count], other[first + offset : first + offset + count]
