"""A `jax.profiler` trace of a few steps of a run, for TensorBoard, XProf or Perfetto."""

import tempfile
from typing import Any

import jax
from etils import epath

from reenact_jax.common import storage

FOLDER = 'profile'  # in the workdir


class Profile:
    """Tracer of some steps after the first call of a start, which compiles.

    The first process writes. The trace is local until it is whole: the profiler knows no buckets.
    """

    def __init__(self, workdir: epath.PathLike, steps: int, write: bool = True):
        """Prepare a trace.

        Args:
          workdir: folder of the run; the trace goes to its folder `profile`.
          steps: number of steps to trace; 0: none. With `config.scan` whole calls: as many or more.
          write: whether this process traces.
        """
        self._target = storage.path(workdir) / FOLDER
        self._left = steps if write else 0
        self._folder: tempfile.TemporaryDirectory | None = None

    def call(self, steps: int, result: Any) -> None:
        """Count a call of the program; to be called after each of them.

        Args:
          steps: number of steps of the call.
          result: its result.
        """
        if self._left <= 0:
            return
        jax.block_until_ready(result)
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory()
            jax.profiler.start_trace(self._folder.name)
            return
        self._left -= steps
        if self._left <= 0:
            self.close()

    def close(self) -> None:
        """End a trace under way, also a shorter one, and move it to the workdir."""
        if self._folder is None:
            return
        jax.profiler.stop_trace()
        with self._folder as folder:
            for name in storage.files(folder):
                storage.write(self._target / name, storage.read(f'{folder}/{name}'))
        self._folder, self._left = None, 0
