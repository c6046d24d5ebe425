"""FACEGAN, table 1: what the landmark transformer adds (FaceForensics++).

Both rows are one training: the second one is given the driver's own landmarks. MSE is of
self-reenactment (section 5.1); where another person drives, an exact ground truth stands beside
(gt_cross, ours).
"""

from reenact_jax.configs.ablations import tables

MODELS = {'full': tables.facegan()}
MEASURES = {
    'self': ('mse',),
    'cross': ('csim', 'psim', 'ed_mean'),
    'gt_cross': ('mse', 'l1', 'ssim'),
}


def sweep(add):
    """Add the rows."""
    for name, transfer, mse, csim, psim, ed in (
        ('with LT', 'full', 0.018, 0.747, 0.811, 0.012),
        ('without LT', None, 0.015, 0.623, 0.885, 0.014),
    ):
        paper = {'self': dict(mse=mse), 'cross': dict(csim=csim, psim=psim, ed_mean=ed)}
        add(name, 'full', transfer=transfer, paper=paper)


def get_config(preset: str = 'full'):
    """Return the config of a model, of the paper's size or another: `full_cpu`, `full_tiny`."""
    return tables.build(MODELS, preset)
