"""What the folder of a run says of it: config, curves, pictures, minutes."""

import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from tensorboardX.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]

from reenact_jax.common import lines, storage
from reenact_jax.common.errors import UserError
from reenact_jax.data.shards import framing
from reenact_jax.train import config, workdirs
from reenact_jax.train.logs import METRICS

HEAD = ('stage', 'stage_number', 'step', 'time')  # of a line; all else is a metric


class Picture(NamedTuple):
    """A preview of a run."""

    stage: str
    step: int
    png: bytes


class Run(NamedTuple):
    """One run."""

    name: str
    folder: str
    settings: dict[str, object]  # field -> value, as `config.FIELD` and `config.hparams.FIELD`
    lines: list[dict]  # of its log

    def curves(self) -> dict[tuple[str, str], tuple[list[int], list[float]]]:
        """Return (stage, metric) -> steps and values, stages in their order."""
        found: dict[tuple[str, str], tuple[list[int], list[float]]] = {}
        for line in sorted(self.lines, key=lambda line: line['stage_number']):
            for name, value in line.items():
                if name not in HEAD and value is not None:
                    steps, values = found.setdefault((line['stage'], name), ([], []))
                    steps.append(line['step'])
                    values.append(value)
        return found

    def last(self) -> dict[str, float]:
        """Return the metrics of the last line; of none, nothing."""
        if not self.lines:
            return {}
        line = self.lines[-1]
        return {name: x for name, x in line.items() if name not in HEAD and x is not None}


def read(text: str) -> Run:
    """Read the config and the log of a run; pictures are read by `pictures`.

    Args:
      text: folder, or NAME=folder; without a name the folder's last part is it.

    Raises:
      UserError: there is no run.
    """
    name, sign, folder = text.partition('=')
    if not sign or not storage.is_dir(storage.path(folder)):  # a folder may have = in its name
        name, folder = text.rstrip('/').rpartition('/')[2], text
    file = storage.path(folder) / workdirs.CONFIG
    if not storage.exists(file):
        raise UserError(f'{folder}: no run here (no {workdirs.CONFIG}); expected a --workdir')
    values = storage.read_json(file)
    inner = values.pop(config.HPARAMS, {})
    settings = {f'config.{field}': value for field, value in values.items()}
    settings |= {f'config.{config.HPARAMS}.{field}': value for field, value in inner.items()}
    logged = [json.loads(line) for line in lines.read(storage.path(folder) / METRICS)]
    return Run(name, folder, settings, logged)


def pictures(run: Run, most: int) -> list[Picture]:
    """Read at most `most` previews of a run, evenly apart; of one step the first kind."""
    found: dict[tuple[str, int], Picture] = {}
    folder = storage.path(run.folder) / 'tensorboard'
    for name in storage.names(folder) if storage.is_dir(folder) else ():
        try:
            for _, _, record in framing.scan(folder / name):
                event = Event.FromString(record)
                for value in event.summary.value:
                    stage, _, kind = value.tag.rpartition('/')
                    if kind.startswith('preview') and value.HasField('image'):
                        image = value.image.encoded_image_string
                        found.setdefault((stage, event.step), Picture(stage, event.step, image))
        except framing.DamagedRecord:
            continue  # what a killed run was writing
    order = list(dict.fromkeys(line['stage'] for line in run.lines))
    ordered = sorted(
        found.values(), key=lambda one: (order.index(one.stage) if one.stage in order else 0, one)
    )
    at = np.unique(np.linspace(0, len(ordered) - 1, min(most, len(ordered))).round().astype(int))
    return [ordered[i] for i in at]


def minutes(logged: Sequence[dict]) -> float:
    """Sum up the minutes of a run's steps, without the time between stop and start.

    The run's own log tells. A gap between two lines of more than five times the stage's median gap
    counts as a stop.
    """
    total = 0.0
    for stage in {line['stage'] for line in logged}:
        gaps = np.diff([line['time'] for line in logged if line['stage'] == stage])
        total += gaps[gaps <= 5 * np.median(gaps)].sum() if len(gaps) else 0.0
    return total / 60


def differences(runs: Sequence[Run]) -> dict[str, list[object]]:
    """Return field -> its value in each run, of the fields in which they differ; '': not there."""
    fields = dict.fromkeys(field for run in runs for field in run.settings)
    values = {field: [run.settings.get(field, '') for run in runs] for field in fields}
    return {field: row for field, row in values.items() if any(one != row[0] for one in row)}
