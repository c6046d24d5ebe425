"""LD-Net + FD-GAN, "One-Shot Identity-Preserving Portrait Reenactment": each preset trains one.

    reenact-jax train --config ldnet_fdgan:cpu \\
        --data DATA --workdir out/ldnet
    reenact-jax train --config ldnet_fdgan:fdgan_small \\
        --data DATA --workdir out/fdgan

Presets (after the colon) of LD-Net, landmark disentanglement:
  paper   10 x 512, batch 32, 400,000 + 1,000,000 steps (supplement 6-7). About 26 hours on one
          CPU core at 25 and 12 steps/s; meant for a GPU.
  cpu     5 layers of 256, 64 examples from 16 tracks, cosine from 1e-3 (stage 1) and 1e-4
          (stage 2), ten times the weight of stage 1's classifier, and three additions that are not
          in the paper: mean-shape swap, warm start of E_I, renormalised output.
  small   The same networks for about 5 minutes of one core, with the three settings below.
  quick   The same for about two minutes of one core; the quickstart's.
  tiny    Seconds; for tests.

Ours, in `small` and `quick`, so that lids and brows follow the driver on real people too:
  lambda_part   weight of the error in units of its part's size, a mean over parts: a lid counts as
                much as the jaw, whatever the number of points
  lambda_chord  weight of the error of differences within the face (lid to lid, lip to lip, between
                the corners of the lips, brow to eye) in units of their variance: 1 is a face that
                does not move
  gesture       random stretches and shifts of brows, lids and lips of single frames, so that the
                pose code takes a raised brow for an expression, not for a person
With them `mean_swap` is 1 and `stage1_lambda_c` is 2. They take every point set. Measured on `68`:
slopes of the transferred points on the driver's own (lids, brows, lips, mouth width; real clips,
docs/results.md, "LD-Net"), point error and identity leak on the synthetic LMTest, one seed each:
  quick as it was, without them    0.02 0.36 0.76 0.69   1.61  0.28   100 people x 24 tracks
  quick                            0.86 0.83 0.83 0.78   1.57  0.30   300 x 8, the quickstart's
  small                            0.91 0.78 0.95 0.70   1.60  0.31   1,000 x 8, docs/results.md's
    reenact-jax prepare synthetic --out points --landmarks-only --identities 300 --tracks 8 \\
        --seed 1 --val-identities 0 --test-identities 0 --cross-pairs 0
    reenact-jax train --config ldnet_fdgan:quick --data points \\
        --workdir out/quick
    reenact-jax evaluate lmtest --model out/quick --data data/lmtest --split train
With `lambda_part` and `lambda_chord` at 10 and no gestures, on 100 people: 0.82 0.45 0.87 0.68 and
a leak of 0.34. Settings with heavier weights and gestures than these, several fields at a time,
leaked 0.31 to 0.43 and followed no better. `cpu` has none of them; its slopes were not measured.

What to expect: docs/results.md, "LD-Net". `cpu` takes a quarter of an hour of one core and leaves
0.47 of the error of the driver's own landmarks on new people. The paper's losses as printed leave
0.73 after the same number of steps, and an identity code that tells nobody apart:
    --config.hparams.mean_swap=0 --config.hparams.renormalise=False \\
    --config.hparams.stage1_lambda_c=0.1 --config.hparams.warm_steps=0 \\
    --config.hparams.stage2_rate=5e-4 --config.hparams.stage2_steps=7000
The paper's table 1 measures codes, not transfer. Same identity / same pose / both different: E_I
2.04 / 3.18 / 3.83, E_P 3.52 / 1.27 / 3.67. Only the ratios inside a row count.

Presets of FD-GAN, the image generator:
  fdgan        256 x 256, as printed (supplement 6-7). Widths and rows are the paper's, norm and the
               drawing of landmarks are ours. For a GPU.
  fdgan_small  64 x 64 on one or two CPU cores: fewer rows and features, 50 times the paper's
               learning rate with a cosine, adversarial terms at 1/50 of their weight. What to
               expect: docs/results.md, "FD-GAN".
  fdgan_tiny   64 x 64, a few channels; for tests.
Ablations of the paper's table 3 (ISIM / SSIM / FID of self-reenactment; FD-GAN .63 / .63 / 55.19):
    --config.hparams.dictionary=one      FD-GAN-1   .49 / .56 / 70.34
    --config.hparams.dictionary=adain    AdaIN      .51 / .56 / 90.70
"""

from reenact_jax.train import config

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
# With these, landmarks follow the driver on real people too; the docstring has the numbers.
FOLLOW = dict(lambda_part=1.0, lambda_chord=3.0, gesture=0.5, mean_swap=1.0, stage1_lambda_c=2.0)
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
    'small': CPU
    | FOLLOW
    | dict(gesture=1.0, stage1_steps=9_000, warm_steps=3_000, stage2_steps=1_500),
    'quick': CPU | FOLLOW | dict(stage1_steps=5_000, warm_steps=2_400, stage2_steps=800),
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
    """Return the config of a preset; `config.hparams` overrides the paper's numbers."""
    system = 'fdgan' if preset in FDGAN else 'ldnet'
    return config.build(system, run={}, hparams=config.preset(PRESETS, preset))
