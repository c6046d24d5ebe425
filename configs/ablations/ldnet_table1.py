"""LD-Net, table 1: what its codes tell apart (LMTest: 100 people, 2,000 labelled frames each).

The numbers are mean distances of codes in 8 principal dimensions; only ratios inside a row can be
compared.
"""

from reenact_jax.configs.ablations import tables

MODELS = {'ldnet': tables.ldnet()}
MEASURES = {'lmtest': ()}


def sweep(add):
    """Add one row; reenact_jax/evaluate/papers/lmtest.py has the paper's numbers, beside ours."""
    add('LD-Net', transfer='ldnet')


def get_config(preset: str = 'ldnet'):
    """Return the config of a model, of the paper's size or another: `ldnet_cpu`, `ldnet_tiny`."""
    return tables.build(MODELS, preset)
