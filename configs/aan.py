"""AAN: one-shot face reenactment with appearance adaptive normalization (Yao et al. 2021).

    reenact-jax train --config aan --data DATA --workdir out/aan \\
        --config.hparams.vgg_weights vgg19.safetensors

Presets (after the colon):
  paper   256 x 256, VGG19 (bring the weights: reenact_jax/nets/vgg.py says how to make the file).
          The paper gives the loss weights, learning rates and the heatmaps' variance; it is silent
          on widths, batch and length, which are ours. For a GPU.
  small   128 x 128, an hour on two CPU cores: narrow networks with one pixel shuffle less, a flow
          at a quarter of the side from heatmaps of sigma 6, random perceptual features, layer norm,
          50 times the paper's learning rate with a cosine, no discriminators (what is sharp comes
          from the source). Ours: the flow starts from the landmarks, masks choose between warped
          source and paint, a network draws the inside of the mouth, and colours, places and sides
          of the training images vary. What to expect: docs/results.md, "AAN".
  portrait    As `small`, wider, an hour: the model in the package, see launch/train_portrait.sh.
  quick   `small` for the few minutes of the quickstart, at 64 x 64.
  printed `quick` without what is ours: the paper's generator, for the tables on CPUs.
  tiny    64 x 64, a few channels; for tests.

The images have the data's side. Ablations of the paper's table 3, on any preset:
    --config.hparams.local_net=False        `-local net`
    --config.hparams.modulation=spade       `-aan +spade`

The paper's numbers (CSIM / PRMSE / AUCON); cross-reenactment is with MarioNETte's landmark
transformer (configs/marionette.py, joined by `export --transfer`). Self-reenactment: VoxCeleb1
.823 / 3.26 / .831, Celeb-DF .753 / 3.12 / .751. Cross: FaceForensics++ .658 / 7.04 / .706,
Celeb-DF .463 / 5.10 / .660.
Table 3 (cross, FaceForensics++): without the local net .615 / 7.293 / .698, with SPADE
.558 / 11.030 / .660.
"""

from reenact_jax.train import config

SMALL = dict(
    rate=1e-3,
    d_rate=2e-4,
    b1=0.5,
    schedule='cosine',
    lambda_gan=0.05,  # a young discriminator drowns the content terms in so short a run
    gan='hinge',
    steps=3600,
    batch_size=8,
    norm='layer',
    extractor=(12, 24, 32, 48),
    fusion=(32, 16),
    residuals=1,
    flow=(16, 24, 32, 48),
    flow_stride=4,
    sigma=6.0,  # the flow network sees heatmaps of 32 x 32
    local=(12, 16, 24, 32),
    discriminator=8,
    features='random',
    random_width=6,
)
WARPED = dict(
    prior=True,
    prior_reach=True,
    flow_bound=0.1,
    mask=True,
    lambda_mask=0.1,  # a pixel is painted where that takes 0.02 off its L1
    part_masks=True,
    lambda_regions=1.0,
    part_size=48,
    inner_mouth=True,
    mouth_palette=True,
    mouth_form=True,
    occlusion=True,
    unseen=True,
    upscale='shuffle_soft',
)
VARIED = dict(colour=0.25, affine=0.05, flip=True)  # real photographs differ in these
QUICK = SMALL | dict(lambda_gan=0, steps=1000)
PRESETS = {
    'paper': {},
    'small': SMALL | WARPED | dict(lambda_gan=0, steps=2800),
    'portrait': SMALL
    | WARPED
    | dict(lambda_gan=0, steps=2200, part_size=64, random_width=8)
    | dict(extractor=(16, 32, 48, 64), fusion=(48, 32), flow=(16, 32, 32, 48))
    | dict(local=(16, 32, 48, 64)),
    'quick': QUICK | WARPED | dict(part_size=32, steps=800, lambda_regions=0),
    'printed': QUICK,
    'tiny': SMALL
    | WARPED
    | dict(steps=4, batch_size=4, extractor=(6, 8), fusion=(6, 4), flow=(6, 8), local=(4, 6))
    | dict(residuals=0, discriminator=2, random_width=4),
}


def get_config(preset: str = 'paper'):
    """Return the config of a preset; `config.hparams` overrides the paper's numbers."""
    run = VARIED if preset in ('small', 'portrait', 'quick') else {}
    return config.build('aan', run=run, hparams=config.preset(PRESETS, preset))
