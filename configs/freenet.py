"""FReeNet: "FReeNet: Multi-Identity Face Reenactment", landmark converter and image generator.

    reenact-jax train --config freenet --data DATA --workdir out/fn \\
        --config.hparams.vgg_weights vgg16.safetensors

Stage `ulc` trains the converter (landmark transfer), stage `gag` the generator with the converter
frozen. The workdir serves as --transfer and as --generator of `reenact-jax export`.

Presets (after the colon):
  paper   256 x 256, as printed (sections 3.4 and 4.1): 1,000 and 400 epochs. For a GPU.
  official  What the authors' code does (github.com/zhangzjn/FReeNet), where it departs from the
          paper: pixels of a crop of 512, least squares in ULC, circles as landmark image, weights,
          lengths and rates. Two things are ours: rows of GAG come in pairs, so 4 for its 3, and
          all players step at once.
  ulc     The converter alone, for a CPU: half the width, 32 rows, cosine from 1e-3, usual b1.
  small   Both stages at 64 x 64 on one or two CPU cores: narrow networks, three blocks, random
          features; layer norm instead of instance norm, which takes a picture's colours away; no
          dropout.
  tiny    Both stages in seconds; for tests.

The converter keeps the portrait's pose (as in the paper). It learns from people who share
expressions but not poses: `reenact-jax prepare synthetic --own-poses`. With
--config.hparams.pose=driving it takes the driver's pose (section 4.4); its data are made without
that flag.

The paper's numbers. Table 1, SSIM / FID: Pix2Pix .629 / 12.84, GAG .659 / 11.67, GAG+ULC
.711 / 13.26, with the triplet loss .717 / 12.17. Table 3, ACE: L1 7.236, with the cycle 4.526, with
both discriminators 0.895.
"""

from reenact_jax.train import config

ULC = dict(
    ulc_width=256,
    ulc_batch=32,
    ulc_steps=15_000,
    ulc_rate=1e-3,
    ulc_b1=0.9,
    schedule='cosine',
    gag_epochs=0,
)
OFFICIAL = dict(
    lambda_identity=10.0,
    ulc_gan='lsgan01',
    ulc_epochs=200,
    ulc_start='xavier',
    units='pixels',
    lambda_adv=0.1,
    gag_epochs=110,
    gag_schedule='early_linear',
    joins='parts',
    raster_channels=3,
    landmark_image='circles',
    condition='reference',
    positive='n1',
    hinge='batch',
)
SMALL = ULC | dict(
    gag_epochs=400,
    width=16,
    blocks=3,
    discriminator=12,
    features='random',
    random_width=6,
    vgg_input='imagenet',
    gag_batch=4,
    gag_rate=1e-3,
    gag_steps=10_000,
    norm='layer',
    dropout=0.0,
    ulc_steps=4_000,
)
PRESETS = {
    'paper': {},
    'official': OFFICIAL,
    'ulc': ULC,
    'small': SMALL,
    'tiny': SMALL
    | dict(ulc_width=16, ulc_batch=8, ulc_steps=4, width=4, discriminator=2, random_width=2)
    | dict(gag_steps=2),
}


def get_config(preset: str = 'paper'):
    """Return the config of a preset; `config.hparams` overrides the paper's numbers."""
    run = dict(points='106', ema_decay=0.0) if preset == 'official' else {}
    return config.build('freenet', run=run, hparams=config.preset(PRESETS, preset))
