"""AAN, table 2: another person drives, beside other one-shot methods (FaceForensics++, Celeb-DF).

The paper moves landmarks by MarioNETte's transformer; here LD-Net does.
"""

from reenact_jax.configs.ablations import tables

MODELS = {'full': tables.aan(), 'ldnet': tables.ldnet(), 'first_order': tables.fomm()}
MEASURES = {'cross': ('csim', 'prmse', 'aucon'), 'gt_cross': ('l1', 'ssim')}


def sweep(add):
    """Add the rows, with FaceForensics++'s numbers; AAN's on Celeb-DF are .463 / 5.10 / .660."""
    for name, model, csim, prmse, aucon in (
        ('X2face', None, 0.604, 9.80, 0.697),
        ('NeuralHead-FF', None, 0.381, 6.82, 0.730),
        ('MarioNETte', None, 0.620, 7.68, 0.710),
        ('FirstOrder', 'first_order', 0.614, 6.62, 0.734),
    ):
        paper = {'cross': dict(csim=csim, prmse=prmse, aucon=aucon)}
        add(name, model, transfer=model, paper=paper)
    paper = {'cross': dict(csim=0.658, prmse=7.04, aucon=0.706)}
    add('AAN', 'full', transfer='ldnet', paper=paper)


def get_config(preset: str = 'full'):
    """Return the config of a model, of the paper's size or another: `full_cpu`, `full_tiny`."""
    return tables.build(MODELS, preset)
