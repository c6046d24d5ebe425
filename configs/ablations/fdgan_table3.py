"""LD-Net + FD-GAN, table 3: the image generator and its rivals, all with LD-Net's landmarks."""

from reenact_jax.configs.ablations import tables

MODELS = {
    'pix2pixhd': tables.pix2pix_hd(),
    'adain': tables.fdgan(dictionary='adain'),
    'fdgan_1': tables.fdgan(dictionary='one'),
    'fdgan': tables.fdgan(),
    'ldnet': tables.ldnet(),
}
MEASURES = {
    'ldnet_self': ('csim', 'ssim', 'frechet'),
    'ldnet_cross': ('csim', 'frechet'),
    'self': ('l1', 'ssim'),
    'gt_cross': ('l1', 'ssim'),
}


def sweep(add):
    """Add the rows: ISIM, SSIM and FID of SelfTest, ISIM and FID of CrossTest."""
    for name, model, isim, ssim, fid, cross_isim, cross_fid in (
        ('Pix2PixHD', 'pix2pixhd', 0.41, 0.49, 98.36, 0.514, 99.34),
        ('AdaIN', 'adain', 0.51, 0.56, 90.70, 0.650, 86.69),
        ('FD-GAN-1', 'fdgan_1', 0.49, 0.56, 70.34, 0.6232, 71.11),
        ('FD-GAN', 'fdgan', 0.63, 0.63, 55.19, 0.7726, 67.68),
    ):
        paper = {
            'ldnet_self': dict(csim=isim, ssim=ssim, fid=fid),
            'ldnet_cross': dict(csim=cross_isim, fid=cross_fid),
        }
        add(name, model, transfer='ldnet', paper=paper)


def get_config(preset: str = 'fdgan'):
    """Return the config of a model, of the paper's size or another: `fdgan_cpu`, `fdgan_tiny`."""
    return tables.build(MODELS, preset)
