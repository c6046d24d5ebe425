"""The logs of a run: `metrics.jsonl`, TensorBoard, and a progress bar or lines.

Every line of `metrics.jsonl` is one interval: `stage`, `step` (its last), the metrics as means over
its applied steps (null when there was none), `frames_per_second` and `data_wait`, the share of the
time that was spent waiting for data. TensorBoard gets the same as `STAGE/metric`. To a bucket,
which cannot append, both are sent every half minute and before each checkpoint.
"""

import json
import math
import sys
import time
from typing import Any

import numpy as np
from absl import logging
from etils import epath
from tqdm import tqdm

from reenact_jax.common import lines, storage
from reenact_jax.train.board import Board

METRICS = 'metrics.jsonl'
QUIET_SECONDS = 30.0  # between progress lines when standard error is not a terminal


class Logs:
    """Writer of a run's logs; on processes other than the first it does nothing."""

    def __init__(self, workdir: epath.PathLike, write: bool, resumed: tuple[int, int] | None):
        """Open the logs and remove what was logged of steps that the run will repeat.

        Args:
          workdir: folder of the run.
          write: whether this process writes.
          resumed: (stage number, step) that the run continues from; lines of later steps, and one
            cut off by a crash, are removed. None: a new run.
        """
        self._write = write
        self._bar = None
        self._board: Any = None  # these two where it writes
        self._file: Any = None
        self._sums: dict[str, list[float]] = {}
        if write:
            folder = storage.path(workdir)
            _mend(folder / METRICS, resumed)
            self._file = lines.Appender(folder / METRICS)
            self._board = Board(folder / 'tensorboard')
            self._sent = time.monotonic()

    def begin(self, number: int, name: str, step: int, steps: int, frames: int, waited: float):
        """Begin a stage at `step` of `steps`; `frames` are those of a step over all devices."""
        self._stage = (number, name, steps, frames)
        self._shown = time.perf_counter()
        self.start_clock(step, waited)
        if self._write and sys.stderr.isatty():
            self._bar = tqdm(total=steps, initial=step, desc=name, unit='step', smoothing=0.1)

    def start_clock(self, step: int, waited: float) -> None:
        """Count speeds and the time left from here: after the compilation."""
        self._mark = (time.perf_counter(), step, waited)
        self._began = (time.perf_counter(), step)

    def take(self, step: int, metrics: dict[str, np.ndarray], applied: np.ndarray) -> None:
        """Add the metrics of n steps.

        Args:
          step: the last of the n steps.
          metrics: values [n] by name.
          applied: [n], which of the steps count.
        """
        for name, values in metrics.items():
            self._sums.setdefault(name, []).extend(np.asarray(values)[applied].tolist())
        if self._bar is not None:
            self._bar.update(step - self._bar.n)

    def line(self, step: int, waited: float, extra: dict[str, float]) -> None:
        """End an interval at `step`: write the means and the speed, begin the next."""
        number, name, steps, frames = self._stage
        now, (then, from_step, waited_before) = time.perf_counter(), self._mark
        seconds = max(now - then, 1e-9)
        values = {key: float(np.mean(v)) if v else math.nan for key, v in self._sums.items()}
        values |= {
            'frames_per_second': (step - from_step) * frames / seconds,
            'data_wait': min(1.0, (waited - waited_before) / seconds),
            **extra,
        }
        self._sums, self._mark = {}, (now, step, waited)
        if not self._write:
            return
        plain = {key: value if math.isfinite(value) else None for key, value in values.items()}
        head = {'stage': name, 'stage_number': number, 'step': step, 'time': time.time()}
        self._file.add(json.dumps(head | plain))
        for key, value in plain.items():
            if value is not None:
                self._board.scalar(f'{name}/{key}', value, step)
        if time.monotonic() - self._sent > lines.DUE_SECONDS:
            self.flush()
        losses = {key: value for key, value in values.items() if key.startswith('loss/')}
        self._progress(step, steps, name, losses)

    def pictures(self, step: int, images: dict[str, np.ndarray]) -> None:
        """Write pictures [b, h, w, 1 or 3] in [-1, 1] as a grid: columns are names, rows faces."""
        if not self._write:
            return
        columns: dict[int, list[np.ndarray]] = {}
        for image in images.values():
            rows = np.clip((np.asarray(image, np.float32) + 1) * 127.5, 0, 255).astype(np.uint8)
            rows = np.broadcast_to(rows, (*rows.shape[:3], 3))
            columns.setdefault(rows.shape[1], []).append(np.concatenate(list(rows), 0))
        for height, group in columns.items():  # one grid for each size of picture
            tag = f'{self._stage[1]}/preview' + ('' if len(columns) == 1 else f'_{height}')
            self._board.picture(tag, np.concatenate(group, 1), step)

    def flush(self) -> None:
        """Send what a bucket does not have: before a checkpoint, which a run resumes from."""
        if self._write:
            self._file.flush()
            self._board.flush()
            self._sent = time.monotonic()

    def end(self) -> None:
        """End a stage."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def close(self) -> None:
        """Close the files."""
        self.end()
        if self._write:
            self._file.close()
            self._board.close()

    def _progress(self, step: int, steps: int, name: str, losses: dict[str, float]) -> None:
        """Show the losses: in the bar, or as a line now and then."""
        shown = '  '.join(f'{key}={value:.4g}' for key, value in losses.items())
        if self._bar is not None:
            self._bar.set_postfix_str(shown)
            return
        now = time.perf_counter()
        if now - self._shown < QUIET_SECONDS and step < steps:
            return
        self._shown = now
        began, from_step = self._began
        left = (steps - step) * (now - began) / max(step - from_step, 1)
        print(f'{name}: step {step}/{steps}, {_clock(left)} left  {shown}', file=sys.stderr)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02d}:{seconds:02d}'


def _mend(file: epath.Path, resumed: tuple[int, int] | None) -> None:
    """Remove lines behind the place that a run resumes from, and lines that are damaged."""
    damaged = [n for n, line in enumerate(lines.read(file), 1) if _place(line) is None]
    if damaged:
        logging.warning('%s: damaged lines are removed: %s', file, str(damaged[:20])[1:-1])

    def wanted(line: str) -> bool:
        place = _place(line)
        return resumed is not None and place is not None and place <= resumed

    lines.keep(file, wanted)


def read(workdir: epath.PathLike) -> list[dict]:
    """Read the lines of a run's metrics.jsonl, without damaged ones."""
    file = storage.path(workdir) / METRICS
    return [json.loads(line) for line in lines.read(file) if _place(line) is not None]


def _place(line: str) -> tuple[int, int] | None:
    """Return (stage number, step) of a line; None: it is damaged."""
    try:
        entry = json.loads(line)
        place = entry['stage_number'], entry['step']
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    whole = all(type(number) is int for number in place)
    return place if whole and isinstance(entry.get('stage'), str) else None
