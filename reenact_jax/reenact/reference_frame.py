"""A driver read twice: its faces on disk, and the one nearest the source in pose and expression.

Relative motion starts at a frame of the driver. A frame in which the driver looks as the source
does gives the best result. No result depends on the frames before it, so that drawing all frames in
order is the same as running forward and backward from that frame.
"""

import tempfile
from collections.abc import Iterator

import numpy as np
from tqdm import tqdm

from reenact_jax.reenact import starts
from reenact_jax.reenact.drivers import Driver, Frame
from reenact_jax.reenact.portraits import Portrait


def nearest(
    driver: Driver, source: Portrait
) -> tuple[Driver, dict | None, int, dict[int, dict[str, np.ndarray]]]:
    """Find the driver's face that is nearest the source in pose and expression (`starts.distance`).

    All frames are read once. Faces go to a temporary file, so that memory does not grow with them.

    Returns:
      The driver, to be read again; its nearest face, None if it has no face; that frame's number;
      and the nearest face of each shot.
    """
    best, number, distance = None, -1, np.inf
    least: dict[int, tuple[float, dict]] = {}
    spool = _Spool()
    watched = tqdm(driver.frames, total=driver.count, unit='frame', desc='reading the driver')
    for place, frame in enumerate(watched):
        spool.add(frame)
        if frame.face is not None:
            apart = starts.distance(frame.face, source.known)
            if apart < least.get(frame.shot, (np.inf, {}))[0]:
                least[frame.shot] = apart, frame.face
            if apart < distance:
                best, number, distance = frame.face, place, apart
    again = driver._replace(frames=spool.frames())
    return again, best, number, {shot: face for shot, (_, face) in least.items()}


class _Spool:
    """Frames in a temporary file: a byte that says whether there is a face, then its numbers."""

    def __init__(self):
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - read as frames are asked for
        self._shapes: dict[str, tuple] = {}
        self._pictures: dict[int, np.ndarray] = {}
        self._places: list[tuple[tuple[float, float] | None, int]] = []
        self._count = 0

    def add(self, frame: Frame) -> None:
        face = frame.face
        self._file.write(bytes([face is not None]))
        if face is not None:
            self._shapes = self._shapes or {name: np.shape(face[name]) for name in sorted(face)}
            for name in self._shapes:
                self._file.write(np.float32(face[name]).tobytes())
        if frame.picture is not None:
            self._pictures[self._count] = frame.picture
        self._places.append((frame.time, frame.shot))
        self._count += 1

    def frames(self) -> Iterator[Frame]:
        """Yield the frames again, once, and close the file."""
        self._file.seek(0)
        for number in range(self._count):
            face = None
            if self._file.read(1)[0]:
                face = {name: self._array(shape) for name, shape in self._shapes.items()}
            yield Frame(face, self._pictures.pop(number, None), *self._places[number])
        self._file.close()

    def _array(self, shape: tuple) -> np.ndarray:
        data = self._file.read(4 * int(np.prod(shape)))
        return np.frombuffer(data, np.float32).reshape(shape)
