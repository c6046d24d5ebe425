"""FACEGAN: "Facial Attribute Controllable rEenactment GAN", driven by action units.

    reenact-jax train --config facegan --data DATA --workdir out/fg \\
        --config.hparams.vgg_weights vgg19.safetensors

Stages: lt; reenactor_half, reenactor; mixer_half, mixer; joint. The data needs action units (exact
ones of synthetic heads; MediaPipe's or OpenFace's of footage) and, for all stages but the first,
masks. The workdir serves as --transfer and as --generator of `reenact-jax export`.

Presets (after the colon):
  paper   256 x 256, as printed where the paper prints numbers (section 4), with the middle between
          the eyes at one place in every frame (`stabilise`). For a GPU.
  lt      The landmark transformer alone, for a CPU: 64 rows, cosine from 1e-3, usual b1.
  lt_footage  The same, told which action units are known, and with units hidden in training: for
          motion by MediaPipe or OpenFace, which do not know all.
  small   All stages at 64 x 64, an hour or more on one or two CPU cores: narrow networks, random
          features.
  tiny    All stages in seconds; for tests.

The paper's numbers. Table 1, MSE / CSIM / PSIM / ED: with the transformer .018 / .747 / .811 /
.012, without .015 / .623 / .885 / .014. Table 2: LSIM .021.
"""

from reenact_jax.train import config

LT = dict(
    lt_batch=64,
    rate=1e-3,
    b1=0.9,
    schedule='cosine',
    lt_steps=20_000,
) | dict.fromkeys(('r1_steps', 'r2_steps', 'b1_steps', 'b2_steps', 'joint_steps'), 0)
SMALL = LT | dict(
    b1=0.5,
    batch_size=4,
    lt_steps=5_000,
    r1_steps=4_000,
    r2_steps=5_000,
    b1_steps=1_500,
    b2_steps=3_000,
    joint_steps=2_500,
    width=24,
    downs=4,
    blocks=2,
    discriminator=12,
    features='random',
    random_width=6,
    # As when docs/results.md was measured.
    conditional=True,
    lines='vectors',
    tap_weights=(),
    vgg_input='imagenet',
    sigma=5.0,  # more than a pixel of 64
    # In so short a run the errors of single pixels must count most, random features and young
    # discriminators least.
    lambda_r1=50.0,
    lambda_r2=2.0,
    lambda_r4=5.0,
    lambda_b1=1.0,
    lambda_b2=0.3,
    lambda_b3=2.0,
    lambda_b5=50.0,
)
PRESETS = {
    'paper': {},
    'lt': LT,
    'lt_footage': LT | dict(units_known=True, drop_units=0.3),
    'small': SMALL,
    'tiny': SMALL
    | dict(lt_batch=8, lt_width=16, la_width=16, width=4, discriminator=2, random_width=2)
    | dict(lt_steps=4, r1_steps=2, r2_steps=2, b1_steps=2, b2_steps=2, joint_steps=2),
}


def get_config(preset: str = 'paper'):
    """Return the config of a preset; `config.hparams` overrides the paper's numbers."""
    run = dict(stabilise='frame') if preset == 'paper' else {}
    return config.build('facegan', run=run, hparams=config.preset(PRESETS, preset))
