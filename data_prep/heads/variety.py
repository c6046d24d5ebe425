"""Variety of a set, as in photographs: the share of people, motions or scenes with each kind.

Every kind is drawn from a stream of its own of the person's, motion's or track's seed. Another
share of one kind therefore leaves all others as they were, and a larger share only adds to those
who have it already.
"""

import dataclasses

import numpy as np

from reenact_jax.common.settings import setting


def _share(default: float, doc: str):
    return setting(default, low=0.0, high=1.0, doc=doc)


@dataclasses.dataclass(frozen=True)
class Variety:
    """Shares 0..1 of people, motions and scenes: the command's flags."""

    # people
    glasses: float = _share(0.25, 'share of people with glasses')
    headwear: float = _share(0.10, 'share of people with a cap, a knitted hat or a headscarf')
    beards: float = _share(0.6, 'share of men with a beard, a moustache or stubble')
    makeup: float = _share(0.5, 'share of women with make-up')
    blemishes: float = _share(0.5, 'share of people with spots, redness or uneven skin')
    # motions
    extremes: float = _share(0.4, 'share of motions that go from rest to an extreme and back')
    wide_turns: float = _share(0.15, 'share of motions that turn to both sides, up to 60 degrees')
    shut_eyes: float = _share(0.1, 'share of motions with eyes shut for a while')
    parted_lips: float = _share(0.2, 'share of motions whose mouth is a little open at rest')
    # scenes
    side_light: float = _share(0.2, 'share of scenes lit from the side, the other half dark')
    coloured_light: float = _share(0.1, 'share of scenes with coloured lamps')
    cast_shadows: float = _share(0.15, 'share of scenes with a shadow across the face')
    pictures: float = _share(
        0.25, "share of backgrounds with scikit-image's pictures, out of focus"
    )
    colour_casts: float = _share(0.25, 'share of scenes with a colour cast')
    greyscale: float = _share(0.06, 'share of scenes in shades of grey')
    sepia: float = _share(0.03, 'share of scenes in sepia')
    painted: float = _share(0.05, 'share of scenes that look painted')
    defocus: float = _share(0.3, 'share of scenes out of focus or of low resolution')
    motion_blur: float = _share(0.15, 'share of scenes whose frames are blurred by motion')
    sensor_noise: float = _share(0.6, "share of scenes with a sensor's noise")
    compression: float = _share(0.6, 'share of scenes with traces of JPEG or of a video codec')


def drawn(seed: int, share: float, kind: str) -> np.random.Generator | None:
    """Open the stream that draws the details of a kind; None: this seed has none of it.

    Args:
      seed: of the person, motion or scene; share: of those that have it; kind: field of `Variety`.
    """
    rng = np.random.default_rng([seed, 20, *kind.encode()])
    return rng if rng.random() < share else None
