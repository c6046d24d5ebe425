"""Pix2Pix (Isola et al. 2017) and Pix2PixHD (Wang et al. 2018) on landmark images: baselines.

    reenact-jax train --config pix2pix:hd --data DATA \\
        --workdir out/pix2pixhd --config.hparams.vgg_weights vgg19.safetensors

Presets (after the colon):
  hd        Pix2PixHD: a global generator of 182 million parameters, then the local enhancer.
            Widths, losses and rates are the paper's, the lengths are ours. For a GPU.
  hd_small  128 x 128 on two CPU cores: narrow networks, three halvings, random perceptual features
            (their plain mean, of normalised images), two scales of D.
  hd_tiny   64 x 64, a few channels; for tests.
  unet      Pix2Pix, as printed but for the batch of 2. For a GPU.
  unet_small, unet_tiny   The same two sizes of Pix2Pix.

The input is the source's image and a landmark image (a fourth channel, as in FReeNet's table 1).
With
    --config.hparams.source_input=False
it is the landmark image alone. The papers' numbers: for Pix2PixHD in self-reenactment LD-Net +
FD-GAN's table 3 has ISIM / SSIM / FID of .41 / .49 / 98.36; for Pix2Pix FReeNet's table 1 has an
SSIM of 0.629 and an FID of 12.84.
"""

from reenact_jax.train import config

HD_SMALL = dict(
    width=16,
    downs=3,
    blocks=3,
    local_blocks=2,
    discriminator=8,
    features='random',
    random_width=6,
    scales=2,
    tap_weights=(),
    vgg_input='imagenet',
    rate=1e-3,
    batch_size=8,
    global_steps=1_500,
    local_steps=200,
    joint_steps=1_000,
)
UNET_SMALL = dict(
    variant='pix2pix', width=16, discriminator=16, rate=1e-3, batch_size=8, steps=3_000
)
PRESETS = {
    'hd': {},
    'hd_small': HD_SMALL,
    'hd_tiny': HD_SMALL
    | dict(width=4, downs=2, blocks=1, local_blocks=1, discriminator=2, random_width=4)
    | dict(batch_size=4, global_steps=2, local_steps=2, joint_steps=2),
    'unet': dict(variant='pix2pix'),
    'unet_small': UNET_SMALL,
    'unet_tiny': UNET_SMALL | dict(width=4, discriminator=2, batch_size=4, steps=4),
}


def get_config(preset: str = 'hd'):
    """Return the config of a preset; `config.hparams` overrides the papers' numbers."""
    return config.build('pix2pix', run={}, hparams=config.preset(PRESETS, preset))
