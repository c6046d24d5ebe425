"""A trained model read from a workdir, ready to be called."""

import os
from types import ModuleType
from typing import Any, NamedTuple

import jax
import numpy as np

from reenact_jax.data.tracks import Batch, DataInfo
from reenact_jax.geometry import layouts
from reenact_jax.train import config
from reenact_jax.train.checkpoints import store as checkpoints


class Trained(NamedTuple):
    """Networks from a workdir, and what they were trained as."""

    system: str  # key of systems.SYSTEMS, or the path of a module
    module: ModuleType
    hp: Any
    nets: dict
    variables: dict  # {network: {'params': ..., other collections}}
    points: str  # point set
    size: int  # working side of the images, pixels
    record: dict  # plain values for the card: config, data digest, stage, step

    @property
    def model(self) -> tuple:
        """The first arguments of a system's functions: (hp, nets, variables)."""
        return self.hp, self.nets, self.variables


def read(workdir: str | os.PathLike) -> Trained:
    """Read the newest trained networks of a workdir, averages where there are some.

    Raises:
      UserError: there is no valid checkpoint.
    """
    values, variables, position = checkpoints.load_networks(workdir)
    module, run, hparams = config.resolve(values)
    data = position['data']
    info = DataInfo(data['identities'], data['examples'], run.points)
    return Trained(
        values['system'],
        module,
        hparams,
        module.networks(hparams, info),
        variables,
        run.points,
        data['size'],
        {'config': values, **position},
    )


def untrained(trained: Trained, seed: int = 0) -> Trained:
    """Return the same networks with fresh variables: the control of a table of codes."""
    points = layouts.layout(trained.points).count
    image = np.zeros((2, 2, trained.size, trained.size, 3), np.float32)
    batch = Batch(image=image, landmarks=np.zeros((2, 2, points, 2), np.float32))
    variables = trained.module.init(trained.hp, trained.nets, jax.random.key(seed), batch)
    return trained._replace(variables=variables)
