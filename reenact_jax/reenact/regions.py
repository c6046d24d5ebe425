"""How much of a relative motion is taken: its strength, and the regions of the face that move."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from reenact_jax.common.errors import UserError
from reenact_jax.geometry.layouts import Layout

STRENGTHS = 0.0, 3.0  # lowest and highest; beyond them a result is no face
POSE, ALL = 'pose', 'all'
REGIONS = {
    'eyes': ('left_eye', 'left_pupil', 'right_eye', 'right_pupil'),
    'brows': ('left_brow', 'right_brow'),
    'mouth': ('outer_lips', 'inner_lips', 'jaw'),
    POSE: (),  # rotation, scale and place
}
NAMES = (*REGIONS, ALL)
EXPRESSION = tuple(name for name in REGIONS if name != POSE)
_EXPECTED = 'expected a number from {:g} to {:g}'.format(*STRENGTHS)


class Amount(NamedTuple):
    """How much of the motion is taken, and where."""

    strength: float = 1.0  # factor of the change of expression, the rotation's angle and the shift
    regions: tuple[str, ...] = (ALL,)  # some of `NAMES`

    def takes(self, region: str) -> bool:
        """Tell whether a region moves."""
        return ALL in self.regions or region in self.regions


def read_amount(
    strength: str | None, names: Sequence[str] | None, relative: bool, driven: bool
) -> Amount:
    """Read what was typed after --strength and --region; None is the default.

    Args:
      strength: a number as a text.
      names: names of regions.
      relative: whether the motion is relative.
      driven: whether there is a driver.

    Raises:
      UserError: there is no such strength or region, or no relative motion that it applies to.
    """
    for flag, value in (('--strength', strength), ('--region', names)):
        if value is not None and not relative:
            raise UserError(f'{flag}: is of relative motion; leave out --motion absolute')
        if value is not None and not driven:
            raise UserError(f'{flag}: is of the motion of a driver; give --driving')
    amount = Amount()
    if strength is not None:
        try:
            amount = amount._replace(strength=float(strength))
        except ValueError:
            raise UserError(f'--strength {strength}: {_EXPECTED}') from None
    return check(amount if names is None else amount._replace(regions=tuple(names)))


def check(amount: Amount) -> Amount:
    """Return the amount itself if its strength and regions are valid.

    Raises:
      UserError: the strength is out of range, or a region is unknown.
    """
    low, high = STRENGTHS
    if not (math.isfinite(amount.strength) and low <= amount.strength <= high):
        raise UserError(f'--strength {amount.strength}: {_EXPECTED}')
    for name in amount.regions:
        if name not in NAMES:
            raise UserError(f'--region {name}: no such region; there are {", ".join(NAMES)}')
    if not amount.regions:
        raise UserError(f'--region: name at least one of {", ".join(NAMES)}')
    return amount


def weights(layout: Layout, amount: Amount) -> Float[np.ndarray, 'n 1']:
    """Return 1 for points whose expression changes, else 0; with all parts the nose changes too."""
    if all(amount.takes(region) for region in REGIONS):
        return np.ones((layout.count, 1))
    values = np.zeros((layout.count, 1))
    for region in amount.regions:
        for part in REGIONS[region]:
            values[list(layout.parts.get(part, ()))] = 1
    return values
