"""LD-Net + FD-GAN, table 2: LD-Net's landmarks against true ones and the driver's own."""

from reenact_jax.configs.ablations import tables

MODELS = {'fdgan': tables.fdgan(), 'ldnet': tables.ldnet()}
MEASURES = {
    'ldnet_self': ('csim', 'psim', 'ed_l2'),
    'ldnet_cross': ('csim', 'psim', 'ed_l2'),
    'gt_cross': ('point_error', 'identity_leak'),
}


def sweep(add):
    """Add the rows. In self-reenactment the driver's landmarks are the true ones."""
    paper = {
        'ldnet_self': dict(csim=0.7986, psim=0.9134, ed_l2=0.1296),
        'ldnet_cross': dict(csim=0.7145, psim=0.8615, ed_l2=0.2080),
    }
    add("the driver's landmarks", 'fdgan', paper=paper)
    paper = {
        'ldnet_self': dict(csim=0.7984, psim=0.8950, ed_l2=0.1655),
        'ldnet_cross': dict(csim=0.7726, psim=0.8398, ed_l2=0.2430),
    }
    add('LD-Net', 'fdgan', transfer='ldnet', paper=paper)


def get_config(preset: str = 'fdgan'):
    """Return the config of a model, of the paper's size or another: `fdgan_cpu`, `fdgan_tiny`."""
    return tables.build(MODELS, preset)
