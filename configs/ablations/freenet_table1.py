"""FReeNet, table 1: what the parts of FReeNet add (RaFD).

    python -m reenact_jax.train --config configs/ablations/freenet_table1.py:full_small \
        --config.data DATA --workdir out/table1/full
    python -m reenact_jax.export --generator out/table1/full --transfer out/table1/full \
        --out out/table1/full_bundle      # rows pix2pix and gag: without --transfer
    python -m reenact_jax.report --model out/table1/full_bundle --data TEST --out out/table1/report

Rows (after the colon), at the paper's size or with `_small` for 64 x 64 on a CPU:

    row       what                                        paper's SSIM    FID     AMT
    pix2pix   Pix2Pix, landmarks as the fourth channel         0.629    12.84   41.3%
    gag       GAG with the driver's landmarks                  0.659    11.67
    gag_ulc   GAG with the landmarks that ULC converts         0.711    13.26
    full      the same, with the triplet perceptual loss       0.717    12.17   74.9%

AMT, what people took for real on Amazon Mechanical Turk, cannot be reproduced here.
"""

from configs import freenet, pix2pix
from reenact_jax import config

ROWS = {
    'gag': dict(ulc_epochs=0, lambda_tp=0.0),
    'gag_ulc': dict(lambda_tp=0.0),
    'full': {},
}
PRESETS = {
    f'{row}{size}': base | change
    for size, base in (('', {}), ('_small', freenet.SMALL))
    for row, change in ROWS.items()
}
PIX2PIX = {'pix2pix': dict(variant='pix2pix'), 'pix2pix_small': pix2pix.UNET_SMALL}
PRESETS |= PIX2PIX


def get_config(preset: str = 'full'):
    """The config of a row."""
    system = 'pix2pix' if preset in PIX2PIX else 'freenet'
    return config.build(system, run={}, hparams=config.preset(PRESETS, preset))
