"""The metrics that tables show: their headings, and the table in which each stands."""

from typing import NamedTuple

from reenact_jax.evaluate.arrivals import SHARPNESS
from reenact_jax.evaluate.asked import FLOORS
from reenact_jax.evaluate.steadiness import FLICKER, JITTER


class Column(NamedTuple):
    """How a metric is shown."""

    heading: str
    decimals: int
    worst: float | None = None  # what a result without a face counts as; None: it does not count


MAIN = {
    'l1': Column('L1 (0..2, less is better)', 4),
    'mse': Column('MSE (0..1, less)', 4),
    'ssim': Column('SSIM (more is better)', 4),
    'csim': Column('CSIM (more)', 3, -1.0),
    'psim': Column('PSIM (more)', 3, -1.0),
    'prmse': Column('PRMSE, degrees (less)', 2, 180.0),
    'ed_l2': Column('ED, L2 (less)', 3, 17**0.5),
    'ed_mean': Column('ED, a unit (less)', 4, 17**-0.5),
    'aucon': Column('AUCON (more)', 3, 0.0),
    'akd': Column('AKD, pixels of 256 (less)', 2, 256.0),
    'lsim': Column('LSIM (less)', 4, 4.0),
    'point_error': Column('point error, % of the box', 2),
    'identity_leak': Column('identity leak (0 ideal)', 3),
}
_SLOPES = {
    'mouth': 'mouth opening',
    'width': 'mouth width',
    'eyes': 'lids',
    'brows': 'brows',
    'yaw': 'yaw',
    'roll': 'roll',
}
# Slopes: 1 where all of the asked change arrives, 0 where nothing moves.
ASKED = {f'slope_{name}': Column(_SLOPES[name], 2) for name in FLOORS} | {
    SHARPNESS: Column('sharpness', 2)
}
CORRELATIONS = {
    f'correlation_{name}': Column(f'correlation, {_SLOPES[name]}', 2) for name in FLOORS
}
# 1: as steady as the ground truth; more: trembles, or flickers.
STEADY = {
    FLICKER: Column('flicker, driver at rest (1: as the truth)', 2),
    JITTER: Column('jitter of landmarks (1: as the reference)', 2),
}
COLUMNS = MAIN | ASKED | STEADY | CORRELATIONS
