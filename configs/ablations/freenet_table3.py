"""FReeNet, table 3: which losses the landmark converter needs (ACE, pixels; RaFD, three seeds).

The paper says neither in which size its pixels are nor what its +- is. `ace` is measured on people
who were held out, `ace_seen` on those of the training, as the paper's is. With RaFD's landmarks
(`prepare points --naming rafd`) a set serves as both kinds of data:

    reenact-jax sweep freenet_table3:cpu --seeds 0 1 2 --workdir out/rafd \\
        --data expressions=data/rafd --data expressions_test=data/rafd \\
        -- --config.points=106 --config.hparams.ulc_steps=800
"""

from reenact_jax.configs.ablations import tables

MODELS = {
    'l1': tables.ulc(lambda_cycle=0.0, lambda_d=0.0),
    'cycle': tables.ulc(lambda_d=0.0),
    'full': tables.ulc(),
}
MEASURES = {'ace': ('ace',), 'ace_seen': ('ace',)}


def sweep(add):
    """Add the rows: the paper's are 7.236 +- 0.015, 4.526 +- 0.015, 0.895 +- 0.010."""
    for name, model, ace in (
        ('L1', 'l1', 7.236),
        ('L1, cycle', 'cycle', 4.526),
        ('L1, cycle, D_TF and D_S', 'full', 0.895),
    ):
        add(name, transfer=model, paper={'ace': dict(ace=ace)})


def get_config(preset: str = 'full'):
    """Return the config of a model, of the paper's size or another: `full_cpu`, `full_tiny`."""
    return tables.build(MODELS, preset)
