"""AAN, table 3: what its parts add, another person drives (FaceForensics++).

As in the paper, MarioNETte's transformer moves the landmarks; a row with LD-Net stands beside.
"""

from reenact_jax.configs.ablations import tables

MODELS = {
    'no_local': tables.aan(local_net=False),
    'spade': tables.aan(modulation='spade'),
    'full': tables.aan(),
    'marionette': tables.marionette(),
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
        add(name, model, transfer='marionette', paper=paper)
    add("AAN with LD-Net's landmarks", 'full', transfer='ldnet')


def get_config(preset: str = 'full'):
    """Return the config of a model, of the paper's size or another: `full_cpu`, `full_tiny`."""
    return tables.build(MODELS, preset)
