"""The animation itself: a loaded model, a portrait and a stream of landmarks, frames out."""

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, UInt8

from reenact_jax import images
from reenact_jax.bundle import Bundle
from reenact_jax.errors import UserError
from reenact_jax.portraits import Portrait

MOTIONS = ('relative', 'absolute')
BATCH = 8  # frames in one call of the model


class Made(NamedTuple):
    """A frame of the result."""

    image: UInt8[np.ndarray, 's s 3']
    landmarks: Float[np.ndarray, 'n 2']  # as rendered, pixels of the source's crop
    held: bool  # the driver's face was not found: the motion before is kept


def animate(
    bundle: Bundle,
    source: Portrait,
    driving: Iterable[Float[np.ndarray, 'n 2'] | None],
    *,
    motion: str = 'relative',
    batch: int = BATCH,
) -> Iterator[Made]:
    """Frames of the source with the driver's motion, one for each of the driver's.

    Constant memory: `batch` driving frames at a time, the last batch padded so that the model is
    compiled once; the source is encoded once.

    Args:
      bundle: of `bundle.load`.
      source: the portrait, at the bundle's size, with its point set.
      driving: landmarks in pixels of the driver's crop; None where no face was found. Such frames
        keep the motion before; at the start they get that of the first face found.
      motion: 'relative' moves the source's face by the driver's motion since its first frame;
        'absolute' puts it where the driver's face is in its crop (see landmarks.place).

    Raises UserError when no driving frame has a face.
    """
    face = source.face()
    identity, appearance = bundle.identify(face), bundle.encode(face)
    first, pending = None, None
    for landmarks, held in _batches(driving, batch):
        if first is None:
            first = face if motion == 'absolute' else {'landmarks': landmarks[:1]}
        padded = np.concatenate([landmarks, np.repeat(landmarks[-1:], batch - len(held), 0)])
        points = bundle.transfer(identity, {'landmarks': padded}, first)
        made = images.to_uint8(bundle.render(appearance, points)), points, held
        # The device works on this batch while the host finishes the one before.
        if pending is not None:
            yield from _frames(*pending)
        pending = made
    if pending is None:
        raise UserError('no face found in any driving frame; is it the right file?')
    yield from _frames(*pending)


def _batches(driving, batch: int):
    """(landmarks [k, n, 2], held [k]) of at most `batch` frames, gaps filled."""
    filled = _filled(driving)
    while part := list(itertools.islice(filled, batch)):
        landmarks, held = zip(*part, strict=True)
        yield np.stack(landmarks).astype(np.float32), held


def _filled(driving):
    """(landmarks, held): None replaced by the last, at the start by the first that is there."""
    last, waiting = None, 0
    for landmarks in driving:
        if landmarks is None and last is None:
            waiting += 1
            continue
        for _ in range(waiting):
            yield landmarks, True
        waiting = 0
        held = landmarks is None
        last = last if held else landmarks
        yield last, held


def _frames(made, points, held) -> Iterator[Made]:
    made, points = jax.device_get((made, points))
    for i, one in enumerate(held):
        yield Made(made[i], points[i], one)
