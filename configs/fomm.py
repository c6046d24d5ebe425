"""First order motion model (Siarohin et al. 2019), driven by images, not by landmarks.

    reenact-jax train --config fomm --data DATA --workdir out/fomm \\
        --config.hparams.vgg_weights vgg19.safetensors
    reenact-jax export --generator out/fomm --out out/fomm_bundle

Presets (after the colon):
  paper   256 x 256, the official vox-256.yaml: 10 keypoints, 100 epochs of 75 repeats of the data,
          no discriminator; VGG19 (bring the weights: reenact_jax/nets/vgg.py says how to make the
          file). For GPUs: 40 pairs of frames in a step.
  adv     The official vox-adv-256.yaml: from a run of `paper`, or from official weights, 150 epochs
          with a discriminator that sees the driver's keypoints, at a constant rate, 36 pairs.
  small   128 x 128 on two CPU cores: narrow networks, random perceptual features, five times the
          rate.
  quick   `small` for a few minutes, at 64 x 64.
  tiny    64 x 64, a few channels; for tests.

The images have the data's side. Colours vary and half of the pairs are mirrored, as in the official
code; its hue does not vary here, a cast does. An epoch counts tracks, as there.
"""

from reenact_jax.train import config

ADV = dict(
    lambda_gan=1.0,
    d_spectral=False,
    d_keypoints=True,
    epochs=150,
    milestones=(),
    batch_size=36,
)
SMALL = dict(
    rate=1e-3,
    steps=6000,
    batch_size=8,
    kp_width=8,
    kp_depth=4,
    kp_most=64,
    motion_width=12,
    motion_depth=4,
    motion_most=96,
    width=16,
    blocks=3,
    most=64,
    scales=(1.0, 0.5, 0.25),
    features='random',
    random_width=6,
)
QUICK = SMALL | dict(steps=1000, kp_depth=3, motion_depth=3, stride=2)
PRESETS = {
    'paper': {},
    'adv': ADV,
    'small': SMALL,
    'quick': QUICK,
    'tiny': SMALL
    | dict(steps=4, batch_size=4, keypoints=5, lambda_gan=1.0, d_width=2, d_keypoints=True)
    | dict(kp_width=4, kp_depth=2, motion_width=4, motion_depth=2, width=4, blocks=1)
    | dict(random_width=4),
}


def get_config(preset: str = 'paper'):
    """Return the config of a preset; `config.hparams` overrides the official numbers."""
    run = dict(colour=0.1, flip=True) if preset != 'tiny' else {}
    run |= dict(ema_decay=0.0) if preset in ('paper', 'adv') else {}
    return config.build('fomm', run=run, hparams=config.preset(PRESETS, preset))
