"""AAN, table 3: what its parts add, another person drives (FaceForensics++).

The paper moves landmarks by MarioNETte's transformer; here LD-Net does.
"""

from reenact_jax.configs.ablations import tables

MODELS = {
    'no_local': tables.aan(local_net=False),
    'spade': tables.aan(modulation='spade'),
    'full': tables.aan(),
    'ldnet': tables.ldnet(),
}
MEASURES = {
    'cross': ('csim', 'prmse', 'aucon'),
    'gt_cross': ('l1', 'ssim'),
    'self': ('l1', 'ssim', 'csim', 'prmse', 'aucon'),
}


def sweep(add):
    """Add the rows."""
    for name, model, csim, prmse, aucon in (
        ('- local net', 'no_local', 0.615, 7.293, 0.698),
        ('- AAN + SPADE', 'spade', 0.558, 11.030, 0.660),
        ('AAN', 'full', 0.658, 7.04, 0.706),
    ):
        paper = {'cross': dict(csim=csim, prmse=prmse, aucon=aucon)}
        add(name, model, transfer='ldnet', paper=paper)


def get_config(preset: str = 'full'):
    """Return the config of a model, of the paper's size or another: `full_cpu`, `full_tiny`."""
    return tables.build(MODELS, preset)
