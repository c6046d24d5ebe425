"""FACEGAN, table 2: beside other methods (FaceForensics++). MSE is of self-reenactment."""

from reenact_jax.configs.ablations import tables

MODELS = {'full': tables.facegan(), 'first_order': tables.fomm()}
MEASURES = {
    'self': ('mse',),
    'cross': ('csim', 'psim', 'ed_mean'),
    'lsim': ('lsim',),
}


def sweep(add):
    """Add the rows."""
    for name, model, mse, csim, psim, ed, lsim in (
        ('X2Face', None, 0.018, 0.564, 0.659, 0.025, 0.040),
        ('FSGAN', None, 0.016, 0.631, 0.887, 0.016, 0.035),
        ('ICface', None, 0.106, 0.655, 0.699, 0.013, 0.039),
        ('First-order model', 'first_order', 0.012, 0.676, 0.825, 0.015, 0.035),
        ('FACEGAN', 'full', 0.018, 0.747, 0.811, 0.012, 0.021),
    ):
        paper = {
            'self': dict(mse=mse),
            'cross': dict(csim=csim, psim=psim, ed_mean=ed),
            'lsim': dict(lsim=lsim),
        }
        add(name, model, transfer=model, paper=paper)


def get_config(preset: str = 'full'):
    """Return the config of a model, of the paper's size or another: `full_cpu`, `full_tiny`."""
    return tables.build(MODELS, preset)
