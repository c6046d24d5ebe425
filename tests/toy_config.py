"""The toy system as a config file, for the training command.

reenact-jax train --config tests/toy_config.py --data DATA --workdir=OUT
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import toy

from reenact_jax import systems
from reenact_jax.train import config

systems.SYSTEMS = {**getattr(systems, 'SYSTEMS', {}), 'toy': toy}


def get_config():
    """Return the toy's defaults."""
    return config.build('toy', run={'checkpoint_every': 2, 'log_every': 2}, hparams={})
