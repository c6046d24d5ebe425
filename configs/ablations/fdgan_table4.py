"""LD-Net + FD-GAN, table 4: beside other methods, another person drives."""

from reenact_jax.configs.ablations import tables

MODELS = {'fdgan': tables.fdgan(), 'ldnet': tables.ldnet(), 'first_order': tables.fomm()}
MEASURES = {'ldnet_cross': ('csim', 'psim', 'ed_l2', 'frechet')}


def sweep(add):
    """Add the rows."""
    for name, model, transfer, isim, psim, ed, fid in (
        ('X2Face', None, None, 0.6347, 0.302, 0.448, 101.72),
        ('First-order model', 'first_order', 'first_order', 0.7699, 0.822, 0.274, 55.94),
        ('LD-Net + FD-GAN', 'fdgan', 'ldnet', 0.7762, 0.840, 0.243, 67.68),
    ):
        paper = {'ldnet_cross': dict(csim=isim, psim=psim, ed_l2=ed, fid=fid)}
        add(name, model, transfer=transfer, paper=paper)


def get_config(preset: str = 'fdgan'):
    """Return the config of a model, of the paper's size or another: `fdgan_cpu`, `fdgan_tiny`."""
    return tables.build(MODELS, preset)
