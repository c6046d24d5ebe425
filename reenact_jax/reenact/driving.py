"""A driver as an animation reads it: its faces, where relative motion starts, its pictures."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from reenact_jax.reenact import reference_frame, smoothing, starts
from reenact_jax.reenact.animation import Shots
from reenact_jax.reenact.drivers import Driver
from reenact_jax.reenact.options import Options
from reenact_jax.reenact.portraits import Portrait
from reenact_jax.reenact.regions import POSE


class Driving(NamedTuple):
    """A driver whose first face was found."""

    faces: Iterator[dict | None]  # can be read once
    start: dict | None  # the face where relative motion starts; None: the first
    number: int  # number of the frame where it starts
    fault: str | None  # why it should not start at the first frame, where it does
    pictures: dict[int, UInt8[np.ndarray, 's s 3'] | None]  # those of the shown frames read so far
    times: list[tuple[float, float]]  # begin and end of the frames read so far, seconds
    shots: Shots  # where the driver cuts


def read(driver: Driver, source: Portrait, options: Options) -> Driving:
    """Find where relative motion starts.

    With the reference 'best' the whole driver is read for it. A driver of one frame starts at the
    source's own face (`starts.of_still`).
    """
    start, number, fault, pictures, times = None, 0, None, {}, []
    shots = Shots([], {})
    if options.reference == 'best' and options.is_relative and driver.count != 1:
        driver, start, number, best = reference_frame.nearest(driver, source)
        shots = Shots([], best)
    smooth = driver.detected if options.smooth is None else options.smooth
    first, faces = starts.first(_faces(driver, pictures, times, shots.numbers, smooth))
    if options.is_relative and first is not None:
        if driver.count == 1:
            start = starts.of_still(source, first)
        if start is None:
            fault = starts.fault(first, source.known, options.amount.takes(POSE))
    return Driving(faces, start, number, fault, pictures, times, shots)


def _faces(
    driver: Driver, pictures: dict, times: list, shots: list, smooth: bool
) -> Iterator[dict | None]:
    """Yield the driver's faces; what else is known of a frame goes into the other arguments."""

    def faces():
        for number, frame in enumerate(driver.frames):
            if number in driver.shown:
                pictures[number] = frame.picture
            even = float(number / driver.rate), float((number + 1) / driver.rate)
            times.append(frame.time or even)
            shots.append(frame.shot)
            yield frame.face

    return smoothing.smooth(faces(), driver.rate, times, shots) if smooth else faces()
