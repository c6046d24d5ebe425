"""LD-Net: landmark disentanglement (FD-GAN, the paper's generator, is not built yet).

    python -m reenact_jax.train --config configs/ldnet_fdgan.py:cpu \
        --config.data DATA --workdir out/ldnet

Presets (after the colon):
  paper   10 x 512, batch 32, 400,000 + 1,000,000 steps (supplement 6-7). About 26 hours on one
          CPU core at 25 and 12 steps/s; meant for a GPU.
  cpu     5 x 256, 64 examples from 16 tracks, cosine from 1e-3 (stage 1) and 1e-4 (stage 2), ten
          times the weight of stage 1's classifier, and the three additions that are not in the
          paper: mean-shape swap, warm start of E_I, output renormalised.
  small   the same nets for about 5 minutes of one core.
  quick   the same nets for little more than a minute; the quickstart's.
  tiny    seconds; for tests.

What to expect: README.md, "LD-Net". `cpu` takes a quarter of an hour of one core and leaves 0.47 of
the error of the driver's own landmarks on new people; the paper's losses as printed leave 0.73
after the same number of steps, and an identity code that tells nobody apart:
    --config.hparams.mean_swap=0 --config.hparams.renormalise=False \
    --config.hparams.stage1_lambda_c=0.1 --config.hparams.warm_steps=0 \
    --config.hparams.stage2_rate=5e-4 --config.hparams.stage2_steps=7000
The paper's table 1 measures codes, not transfer: E_I same identity / same pose / both different
2.04 / 3.18 / 3.83, E_P 3.52 / 1.27 / 3.67; only the ratio inside a row counts.
"""

from reenact_jax import config

CPU = dict(
    layers=5,
    width=256,
    examples=64,
    frames=4,
    schedule='cosine',
    stage1_lambda_c=1.0,  # the printed 0.1 leaves identity in the pose code at small budgets
    stage1_rate=1e-3,
    stage1_steps=30_000,
    stage2_rate=1e-4,
    stage2_steps=4_000,
    mean_swap=0.8,
    warm_steps=3_000,
    renormalise=True,
)
PRESETS = {
    'paper': {},
    'cpu': CPU,
    'small': CPU | dict(stage1_steps=9_000, warm_steps=1_500, stage2_steps=1_500),
    'quick': CPU | dict(stage1_steps=4_000, warm_steps=800, stage2_steps=800),
    'tiny': CPU
    | dict(layers=2, width=32, examples=8, frames=2)
    | dict(stage1_steps=8, warm_steps=4, stage2_steps=4),
}


def get_config(preset: str = 'paper'):
    """The config of a preset; `config.hparams` overrides the paper's numbers."""
    return config.build('ldnet_fdgan', run={}, hparams=config.preset(PRESETS, preset))
