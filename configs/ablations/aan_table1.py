"""AAN, table 1: self-reenactment, beside other one-shot methods (VoxCeleb1, Celeb-DF).

The paper measures CSIM by ArcFace, poses and action units by OpenFace; the table names our
estimators. Ours stands beside VoxCeleb1's rows; for Celeb-DF's give that set's videos as the data.
"""

from reenact_jax.configs.ablations import tables

MODELS = {'full': tables.aan(), 'first_order': tables.fomm()}
MEASURES = {'self': ('csim', 'prmse', 'aucon')}


def sweep(add):
    """Add the rows of both data sets."""
    for name, model, csim, prmse, aucon in (
        ('X2face', None, 0.689, 3.26, 0.813),
        ('NeuralHead-FF', None, 0.229, 3.76, 0.791),
        ('MarioNETte', None, 0.755, 3.13, 0.825),
        ('FirstOrder', 'first_order', 0.813, 3.79, 0.886),
        ('AAN', 'full', 0.823, 3.26, 0.831),
        ('X2face, Celeb-DF', None, 0.676, 4.10, 0.679),
        ('NeuralHead-FF, Celeb-DF', None, 0.511, 6.09, 0.747),
        ('MarioNETte, Celeb-DF', None, 0.650, 3.98, 0.714),
        ('FirstOrder, Celeb-DF', None, 0.687, 3.15, 0.839),
        ('AAN, Celeb-DF', None, 0.753, 3.12, 0.751),
    ):
        transfer = 'first_order' if model == 'first_order' else None
        paper = {'self': dict(csim=csim, prmse=prmse, aucon=aucon)}
        add(name, model, transfer=transfer, paper=paper)


def get_config(preset: str = 'full'):
    """Return the config of a model, of the paper's size or another: `full_cpu`, `full_tiny`."""
    return tables.build(MODELS, preset)
