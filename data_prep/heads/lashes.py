"""Eyelashes: strands rooted on the lids' edges, so that they move with them."""

import numpy as np

from reenact_jax.data_prep.heads import eyes, points
from reenact_jax.data_prep.heads.hair import STEPS
from reenact_jax.data_prep.heads.likeness import Likeness
from reenact_jax.data_prep.heads.strands import FACIAL, Strands
from reenact_jax.data_prep.heads.warp import skew

PER_LID = 44


def lashes(person: Likeness, lids: eyes.Opening) -> Strands:
    """Grow the lashes of both eyes for a state of the lids, in the head's frame."""
    m, who = person.measures, person.who
    rng = np.random.default_rng([who.seed, 6])
    q = np.linspace(0.10, 0.985, PER_LID) + 0.008 * rng.normal(size=PER_LID)
    low, high = eyes.edges(m, lids, q)
    long = (0.26 + 0.16 * who.female + 0.16 * who.looks.makeup.liner) * (0.55 + 0.45 * q)
    long = long * np.exp(0.12 * rng.normal(size=PER_LID))
    rows = []
    for side, sign in ((0, -1.0), (1, 1.0)):
        for y, up, scale in ((np.maximum(high, low), 1.0, 1.0), (low, -1.0, 0.38)):
            root = points.lid_points(person.anchors, side, q, y)
            tilt = 0.75 * min(1.0, float(lids.upper)) - 0.35 if up > 0 else -0.45
            fan = sign * (0.9 * (q - 0.42))
            d = np.stack([fan, np.full(PER_LID, tilt), np.full(PER_LID, 0.75)], -1)
            d /= np.linalg.norm(d, axis=1, keepdims=True)
            t = np.linspace(0, 1, STEPS)[None, :, None]
            line = root[:, None] + d[:, None] * (long * scale)[:, None, None] * t
            line[..., 1] += up * 0.45 * (long * scale)[:, None] * t[..., 0] ** 2
            rows.append(line)
    line = skew(who, np.concatenate(rows))
    n = len(line)
    fade = np.tile(np.linspace(0.75, 0.1, STEPS, dtype=np.float32), (n, 1))
    fade[PER_LID : 2 * PER_LID] *= 0.6
    fade[3 * PER_LID :] *= 0.6
    dark = np.array([0.012, 0.009, 0.008]) + 0.05 * (1 - who.looks.makeup.liner) * who.hair_tone**2
    return Strands(
        line, np.tile(np.array([0, 0, 1], np.float32), (n, STEPS, 1)),
        np.tile(dark.astype(np.float32), (n, 1)), np.full((n, STEPS), 0.8, np.float32),
        np.full(n, -1, np.int32), np.full(n, FACIAL, np.int32), fade,
    )  # fmt: skip
