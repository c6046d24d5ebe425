"""How much of a relative motion is taken: its strength, and the regions of the face that move."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from reenact_jax.errors import UserError
from reenact_jax.layouts import Layout

STRENGTHS = 0.0, 3.0  # lowest and highest; beyond it is no face
POSE, ALL = 'pose', 'all'
REGIONS = {
    'eyes': ('left_eye', 'left_pupil', 'right_eye', 'right_pupil'),
    'brows': ('left_brow', 'right_brow'),
    'mouth': ('outer_lips', 'inner_lips', 'jaw'),
    POSE: (),  # rotation, scale and place
}
NAMES = (*REGIONS, ALL)


class Amount(NamedTuple):
    """How much of the motion is taken."""

    strength: float = 1.0  # of the change of expression, of the rotation's angle and of the shift
    regions: tuple[str, ...] = (ALL,)  # of `NAMES`

    def takes(self, region: str) -> bool:
        """Whether a region moves."""
        return ALL in self.regions or region in self.regions


def number(text: str) -> float:
    """Read a strength.

    Raises:
      UserError: no number.
    """
    try:
        return float(text)
    except ValueError:
        low, high = STRENGTHS
        raise UserError(f'--strength {text}: expected a number from {low:g} to {high:g}') from None


def check(amount: Amount) -> Amount:
    """Return the amount itself.

    Raises:
      UserError: a strength or a region that cannot be.
    """
    low, high = STRENGTHS
    if not (math.isfinite(amount.strength) and low <= amount.strength <= high):
        raise UserError(f'--strength {amount.strength}: expected a number from {low:g} to {high:g}')
    for name in amount.regions:
        if name not in NAMES:
            raise UserError(f'--region {name}: no such region; there are {", ".join(NAMES)}')
    if not amount.regions:
        raise UserError(f'--region: name at least one of {", ".join(NAMES)}')
    return amount


def weights(layout: Layout, amount: Amount) -> Float[np.ndarray, 'n 1']:
    """Which points change expression: 1, others 0. Where all parts move, the nose does, too."""
    if all(amount.takes(region) for region in REGIONS):
        return np.ones((layout.count, 1))
    found = np.zeros((layout.count, 1))
    for region in amount.regions:
        for part in REGIONS[region]:
            found[list(layout.parts.get(part, ()))] = 1
    return found
