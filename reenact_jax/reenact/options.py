"""The options of an animation, which the command, the page and the Python interface fill in."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import UInt8

from reenact_jax.common.errors import UserError
from reenact_jax.reenact import regions
from reenact_jax.reenact.edits.unit_edits import Change
from reenact_jax.reenact.regions import ALL, Amount
from reenact_jax.reenact.scenes import Scenes

MOTIONS = ('relative', 'absolute')
REFERENCES = ('first', 'best')
BATCH = 8  # frames in one call of the model


@dataclasses.dataclass(frozen=True, eq=False)
class Options:
    """The options of an animation; the defaults take all of the driver's motion.

    Attributes:
      motion: 'relative' adds what changes in the driver to the source's own face (relative.py): a
        driver that does not move leaves the source as it is; 'absolute' gives the source the
        driver's pose, expression and place in its crop.
      reference: frame of the driver where relative motion starts: 'first', or 'best', in which it
        looks most as the source does (reference_frame.py; reads the driver twice).
      strength: how much of a relative motion is taken, 0 to 3.
      regions: what moves, with relative motion: 'eyes', 'brows', 'mouth', 'pose', 'all'.
      smooth: filter the jitter of the driver's points (smoothing.py); None: if they are detected,
        not if they are stored.
      adapt_scale: scale a relative motion of keypoints by the sizes of the two faces.
      units: changes of the driver's action units and head angles, before the transfer.
      edits: strengths of landmark edits by name, such as {'smile': 0.5}, after the transfer.
      background: picture or video (`scenes.read`) to put behind the head in the square crop, which
        is then the whole result; None: the source's own.
      crop: the square crop alone instead of the whole picture.
      max_side: longest side of the result, pixels; None: the default of `painting.painter`.
      batch: frames in one call of the model.

    Raises:
      UserError: a value is unknown or out of its range, or strength or regions are set for
        absolute motion.
    """

    motion: str = MOTIONS[0]
    reference: str = REFERENCES[0]
    strength: float = 1.0
    regions: Sequence[str] = (ALL,)
    smooth: bool | None = None
    adapt_scale: bool = False
    units: Sequence[Change] = ()
    edits: Mapping[str, float] = dataclasses.field(default_factory=dict)
    background: UInt8[np.ndarray, 's s 3'] | Scenes | None = None
    crop: bool = False
    max_side: int | None = None
    batch: int = BATCH

    def __post_init__(self):
        for name, known in (('motion', MOTIONS), ('reference', REFERENCES)):
            if (value := getattr(self, name)) not in known:
                raise UserError(f'{name} {value!r}: one of {", ".join(known)}')
        if regions.check(self.amount) != Amount() and not self.is_relative:
            raise UserError('strength and regions are of relative motion, not of absolute')
        if self.adapt_scale and not self.is_relative:
            raise UserError('--adapt-scale: is of relative motion, not of absolute')

    @property
    def is_relative(self) -> bool:
        """Whether the driver's motion is added to the source's own face."""
        return self.motion == 'relative'

    @property
    def amount(self) -> Amount:
        """How much of a relative motion is taken, and where."""
        return Amount(self.strength, tuple(self.regions))


DEFAULTS = Options()
