"""FReeNet, table 3: which losses the landmark converter needs (ACE, pixels; RaFD, three seeds).

    python -m reenact_jax.train --config configs/ablations/freenet_table3.py:full_cpu \
        --config.data DATA --config.seed 0 --workdir out/table3/full-0
    python -m reenact_jax.evaluate ace --model out/table3/* --data TEST --split train

Rows (after the colon), at the paper's size or with `_cpu` at that of configs/freenet.py:ulc:

    row     losses                       paper's ACE
    l1      L1                           7.236 +- 0.015
    cycle   L1, cycle                    4.526 +- 0.015
    full    L1, cycle, D_TF and D_S      0.895 +- 0.010

The paper says neither in which size its pixels are nor what +- is.
"""

from configs import freenet
from reenact_jax import config

ROWS = {
    'l1': dict(lambda_cycle=0.0, lambda_d=0.0),
    'cycle': dict(lambda_d=0.0),
    'full': {},
}
PRESETS = {row: dict(gag_epochs=0) | change for row, change in ROWS.items()}
PRESETS |= {f'{row}_cpu': freenet.ULC | change for row, change in ROWS.items()}


def get_config(preset: str = 'full'):
    """The config of a row."""
    return config.build('freenet', run={}, hparams=config.preset(PRESETS, preset))
