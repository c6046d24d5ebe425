"""LD-Net + FD-GAN, "One-Shot Identity-Preserving Portrait Reenactment": a preset trains one.

    python -m reenact_jax.train --config configs/ldnet_fdgan.py:cpu \
        --config.data DATA --workdir out/ldnet
    python -m reenact_jax.train --config configs/ldnet_fdgan.py:fdgan_small \
        --config.data DATA --workdir out/fdgan

Presets (after the colon) of LD-Net, landmark disentanglement:
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

Presets of FD-GAN, the image generator:
  fdgan        256 x 256, as printed (supplement 6-7). Widths and rows are the paper's, norm and the
               drawing of landmarks are ours. For a GPU.
  fdgan_small  for 64 x 64 on one or two CPU cores: fewer rows and features, 50 times the paper's
               rate with a cosine, adversarial terms at 1/50 of their weight. What to expect:
               README.md, "FD-GAN".
  fdgan_tiny   64 x 64, a few channels; for tests.
Ablations of the paper's table 3 (ISIM / SSIM / FID of self-reenactment; FD-GAN .63 / .63 / 55.19):
    --config.hparams.dictionary=one      FD-GAN-1   .49 / .56 / 70.34
    --config.hparams.dictionary=adain    AdaIN      .51 / .56 / 90.70
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
FDGAN_SMALL = dict(
    widths=(24, 48, 64, 96),
    rows=(128, 128, 64, 64),
    discriminator=(12, 24, 48, 64),
    rate=1e-3,
    schedule='cosine',
    steps=5_000,
    batch_size=8,
    lambda_d=0.02,  # young adversaries drown the reconstruction in so short a run
    lambda_c=0.02,
)
LDNET = {
    'paper': {},
    'cpu': CPU,
    'small': CPU | dict(stage1_steps=9_000, warm_steps=1_500, stage2_steps=1_500),
    'quick': CPU | dict(stage1_steps=4_000, warm_steps=800, stage2_steps=800),
    'tiny': CPU
    | dict(layers=2, width=32, examples=8, frames=2)
    | dict(stage1_steps=8, warm_steps=4, stage2_steps=4),
}
FDGAN = {
    'fdgan': {},
    'fdgan_small': FDGAN_SMALL,
    'fdgan_tiny': FDGAN_SMALL
    | dict(widths=(4, 6), rows=(8, 6), tag=4, discriminator=(4, 4), steps=4, batch_size=4),
}
PRESETS = LDNET | FDGAN


def get_config(preset: str = 'paper'):
    """The config of a preset; `config.hparams` overrides the paper's numbers."""
    system = 'fdgan' if preset in FDGAN else 'ldnet'
    return config.build(system, run={}, hparams=config.preset(PRESETS, preset))
