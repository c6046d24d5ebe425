"""FReeNet, table 1: what the parts of FReeNet add (RaFD, 100 drivers a person).

The paper does not say what SSIM compares with where another person drives; here it is an exact
ground truth (gt_cross). How many results people on Amazon Mechanical Turk took for real (41.3% of
Pix2Pix's, 74.9% of the full model's) cannot be reproduced here.
"""

from reenact_jax.configs.ablations import tables

MODELS = {
    'pix2pix': tables.pix2pix_unet(),
    'gag': tables.freenet(ulc_epochs=0, lambda_tp=0.0),
    'gag_ulc': tables.freenet(lambda_tp=0.0),
    'full': tables.freenet(),
}
MEASURES = {'gt_cross': ('ssim', 'l1'), 'freenet': ('frechet', 'csim'), 'self': ('ssim', 'l1')}


def sweep(add):
    """Add the rows."""
    for name, model, converter, ssim, fid in (
        ('Pix2Pix', 'pix2pix', None, 0.629, 12.84),
        ('GAG', 'gag', None, 0.659, 11.67),
        ('GAG + ULC', 'gag_ulc', 'gag_ulc', 0.711, 13.26),
        ('GAG + ULC + TP', 'full', 'full', 0.717, 12.17),
    ):
        paper = {'gt_cross': dict(ssim=ssim), 'freenet': dict(fid=fid)}
        add(name, model, transfer=converter, paper=paper)


def get_config(preset: str = 'full'):
    """Return the config of a model, of the paper's size or another: `full_cpu`, `full_tiny`."""
    return tables.build(MODELS, preset)
