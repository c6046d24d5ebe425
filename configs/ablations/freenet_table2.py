"""FReeNet, table 2: parameters and speed, beside other methods (256 x 256, an RTX 2080 Ti).

The others' parameters grow with the number n of identities: Pix2Pix needs n(n - 1) models,
ReenactGAN n. Ours of Pix2Pix is one generator with the portrait as input, whatever n is.
"""

from reenact_jax.configs.ablations import tables

MODELS = {'full': tables.freenet(), 'pix2pix': tables.pix2pix_unet()}
MEASURES = {'speed': ('transfer_parameters', 'generator_parameters', 'frames_per_second')}


def sweep(add):
    """Add the rows: millions of parameters of transfer and generator, frames per second."""
    for name, model, transfer, generator, rate in (
        ('Pix2Pix', 'pix2pix', None, 16.7, 75),
        ('Xu et al.', None, None, 16.7, 73),
        ('ReenactGAN', None, 7.8, 61.1, 48),
        ('X2Face', None, None, 108.8, 16),
        ('FReeNet', 'full', 4.5, 17.3, 57),
    ):
        paper = dict(generator_parameters=generator, frames_per_second=rate)
        paper |= dict(transfer_parameters=transfer) if transfer else {}
        add(name, model, transfer=model if model == 'full' else None, paper={'speed': paper})


def get_config(preset: str = 'full'):
    """Return the config of a model, of the paper's size or another: `full_cpu`, `full_tiny`."""
    return tables.build(MODELS, preset)
