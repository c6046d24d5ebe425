"""TensorBoard's event files, in a folder of this machine or in a bucket.

tensorboardX would keep in memory all that it ever wrote to a bucket, and its `flush` does not wait
for its own queue. Here files are written on this machine and closed when they are due. An object in
a bucket is several of them, one after another, which is an event file again.
"""

import tempfile

import numpy as np
import tensorboardX
from etils import epath

from reenact_jax.common import storage

FILE_BYTES = 8_000_000  # in a bucket: the size from which a new object is begun


class Board:
    """Writer of scalars and pictures."""

    def __init__(self, folder: epath.PathLike):
        self._target, self._here = folder, None
        if storage.is_local(folder):
            self._writer = tensorboardX.SummaryWriter(str(folder))
            return
        self._here = tempfile.TemporaryDirectory()
        self._name, self._content, self._count, self._new = None, b'', 0, False
        self._writer = tensorboardX.SummaryWriter(self._here.name)

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Write a number."""
        self._writer.add_scalar(tag, value, step)
        self._new = True

    def picture(self, tag: str, image: np.ndarray, step: int) -> None:
        """Write a picture [h, w, 3]."""
        self._writer.add_image(tag, image, step, dataformats='HWC')
        self._new = True
        if self._here is None:
            self._writer.flush()

    def flush(self) -> None:
        """Send what a bucket does not have."""
        if self._here is None or not self._new:
            return
        self._writer.close()
        (file,) = storage.files(self._here.name)
        self._name = self._name or f'{file}.{self._count:05d}'
        self._content += storage.read(f'{self._here.name}/{file}')
        storage.write(f'{self._target}/{self._name}', self._content)
        storage.remove(f'{self._here.name}/{file}')
        if len(self._content) > FILE_BYTES:
            self._name, self._content, self._count = None, b'', self._count + 1
        self._writer, self._new = tensorboardX.SummaryWriter(self._here.name), False

    def close(self) -> None:
        """Close the files."""
        self.flush()
        self._writer.close()
        if self._here is not None:
            self._here.cleanup()
