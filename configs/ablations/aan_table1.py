"""AAN, table 1: self-reenactment, beside other one-shot methods (VoxCeleb1, Celeb-DF).

The paper measures CSIM by ArcFace, poses and action units by OpenFace; the table names our
estimators.
"""

from reenact_jax.configs.ablations import tables

MODELS = {'full': tables.aan()}
MEASURES = {'self': ('csim', 'prmse', 'aucon')}


def sweep(add):
    """Add the row, with VoxCeleb1's numbers; Celeb-DF's are .753 / 3.12 / .751."""
    add('AAN', 'full', paper={'self': dict(csim=0.823, prmse=3.26, aucon=0.831)})


def get_config(preset: str = 'full'):
    """Return the config of a model, of the paper's size or another: `full_cpu`, `full_tiny`."""
    return tables.build(MODELS, preset)
