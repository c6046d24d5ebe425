"""Training of a table's models, each in a folder that tables in one workdir share."""

import hashlib
import json
from typing import NamedTuple

from etils import epath

from reenact_jax import systems
from reenact_jax.common import storage
from reenact_jax.data.shards import manifest
from reenact_jax.data_prep import landmark_bases
from reenact_jax.runs import reading
from reenact_jax.sweeps.plan import Table
from reenact_jax.train import command as train
from reenact_jax.train import logs

# Flags of the processes: the result does not depend on them.
PROCESSES = {'--distributed', '--coordinator', '--num_processes', '--process_id', '--profile'} | {
    '--heartbeat_timeout'
}

BASES = '--config.hparams.bases='  # a file that is fitted on the training data beforehand


class Training(NamedTuple):
    """A model of a table with a seed: its command line and its folder."""

    model: str
    seed: int
    workdir: epath.Path
    arguments: list[str]


def plan(table: Table, data: dict[str, str], seeds: list[int], extra: list[str], workdir) -> list:
    """List the trainings of a table.

    The name of a training's folder follows from everything that its result depends on.

    Args:
      table: the table.
      data: kind -> shard set.
      seeds: each model is trained once with each.
      extra: flags for the trainings.
      workdir: of the sweep.
    """
    trainings = []
    for name, model in table.models.items():
        preset = name if table.size == 'paper' else f'{name}_{table.size}'
        folder = data[model.data]
        flags = [flag for flag in extra if _applies(flag, model.hparams(table.size), model.system)]
        for seed in seeds:
            used = [flag for flag in flags if flag.partition('=')[0] not in PROCESSES]
            causes = [model.system, model.hparams(table.size), used, seed]
            causes.append(manifest.read(folder)['digest'])
            digest = hashlib.sha256(json.dumps(causes, sort_keys=True).encode()).hexdigest()[:8]
            target = storage.path(workdir) / 'models' / f'{model.system}-{digest}'
            fitted = 'bases' in systems.find(model.system).Hparams.__dataclass_fields__
            fitted &= not any(flag.startswith(BASES) for flag in flags)
            arguments = [
                f'--config={table.file}:{preset}', f'--config.data={folder}',
                f'--config.seed={seed}', f'--workdir={target}', *flags,
                *([f'{BASES}{target}_bases.npz'] if fitted else []),
            ]  # fmt: skip
            trainings.append(Training(name, seed, target, arguments))
    return trainings


def _applies(flag: str, hparams: dict, system: str) -> bool:
    """Tell whether a flag applies to this system: hparams differ between systems."""
    name, prefix = flag.partition('=')[0], '--config.hparams.'
    if not name.startswith(prefix):
        return True
    return name.removeprefix(prefix) in systems.find(system).Hparams.__dataclass_fields__


def run(training: Training) -> int:
    """Train, or resume, or find all done; return the exit code of `reenact-jax train`.

    Bases that a model needs are fitted beforehand.
    """
    print(f'\n{training.model}, seed {training.seed}: {training.workdir}', flush=True)
    for bases in (x.removeprefix(BASES) for x in training.arguments if x.startswith(BASES)):
        if storage.size(bases) is None:
            (data,) = (x for x in training.arguments if x.startswith('--config.data='))
            landmark_bases.main([data.replace('--config.', '--'), f'--out={bases}'])
    return train.main(training.arguments)


def minutes(training: Training) -> float:
    """Return the minutes of a training's steps, see `reading.minutes`."""
    return reading.minutes(logs.read(training.workdir))
