"""FACEGAN, table 1: what the landmark transformer adds (FaceForensics++).

    python -m reenact_jax.train --config configs/ablations/facegan_table1.py:full_small \
        --config.data DATA --workdir out/facegan
    python -m reenact_jax.export --generator out/facegan --transfer out/facegan --out out/bundle
    python -m reenact_jax.report --model out/bundle --data TEST --out out/report

Rows (after the colon), at the paper's size or with `_small` for 64 x 64 on a CPU. Both are one
training: a report of the bundle has the landmark transformer's results (facegan) and those with the
driver's own landmarks (none). `generator` trains the images alone, for another transfer.

    row         what                         paper's MSE   CSIM   PSIM     ED
    full        with the transformer               0.018  0.747  0.811  0.012
    (none)      without: --transfer none           0.015  0.623  0.885  0.014
"""

from configs import facegan
from reenact_jax import config

ROWS = {'full': {}, 'generator': dict(lt_steps=0, joint_steps=0)}
PRESETS = {
    f'{row}{size}': base | change
    for size, base in (('', {}), ('_small', facegan.SMALL))
    for row, change in ROWS.items()
}


def get_config(preset: str = 'full'):
    """The config of a row."""
    return config.build('facegan', run={}, hparams=config.preset(PRESETS, preset))
