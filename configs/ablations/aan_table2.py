"""AAN, table 2: another person drives, beside other one-shot methods (FaceForensics++, Celeb-DF).

As in the paper, MarioNETte's transformer moves AAN's landmarks; a row with LD-Net stands beside.
Ours stands beside FaceForensics++'s rows; for Celeb-DF's give that set's videos as the data.
"""

from reenact_jax.configs.ablations import tables

MODELS = {
    'full': tables.aan(),
    'marionette': tables.marionette(),
    'ldnet': tables.ldnet(),
    'first_order': tables.fomm(),
}
MEASURES = {'cross': ('csim', 'prmse', 'aucon'), 'gt_cross': ('l1', 'ssim')}


def sweep(add):
    """Add the rows of both data sets, and AAN's with LD-Net."""
    for name, model, transfer, csim, prmse, aucon in (
        ('X2face', None, None, 0.604, 9.80, 0.697),
        ('NeuralHead-FF', None, None, 0.381, 6.82, 0.730),
        ('MarioNETte', None, None, 0.620, 7.68, 0.710),
        ('FirstOrder', 'first_order', 'first_order', 0.614, 6.62, 0.734),
        ('AAN', 'full', 'marionette', 0.658, 7.04, 0.706),
        ('X2face, Celeb-DF', None, None, 0.400, 6.52, 0.400),
        ('NeuralHead-FF, Celeb-DF', None, None, 0.352, 8.30, 0.480),
        ('MarioNETte, Celeb-DF', None, None, 0.460, 5.16, 0.662),
        ('FirstOrder, Celeb-DF', None, None, 0.432, 6.10, 0.500),
        ('AAN, Celeb-DF', None, None, 0.463, 5.10, 0.660),
    ):
        paper = {'cross': dict(csim=csim, prmse=prmse, aucon=aucon)}
        add(name, model, transfer=transfer, paper=paper)
    add("AAN with LD-Net's landmarks", 'full', transfer='ldnet')


def get_config(preset: str = 'full'):
    """Return the config of a model, of the paper's size or another: `full_cpu`, `full_tiny`."""
    return tables.build(MODELS, preset)
