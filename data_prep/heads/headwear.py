"""Caps, knitted hats and headscarves: shells over the bare head, cast as the skin is."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from reenact_jax.data_prep.heads import implicit, noise
from reenact_jax.data_prep.heads.eyes import rolled
from reenact_jax.data_prep.heads.likeness import Likeness
from reenact_jax.data_prep.heads.mouth import sheet

CENTRE = np.array([0.0, 1.5, -0.5])  # hats are cast from here
NAPE = np.array([0.0, -2.0, -1.0])  # headscarves from here
AROUND, ROWS = 144, 30
_ANGLE = np.deg2rad([0, 40, 75, 110, 180])
_EDGE = {'cap': [23, 20, 13, 8, -4], 'knitted': [19, 16, 5, -2, -12]}  # elevation of the edge


class Shell(NamedTuple):
    """A mesh of cloth in the head's frame, centimetres."""

    points: Float[np.ndarray, 'n 3']
    triangles: Int[np.ndarray, 'f 3']
    colours: Float[np.ndarray, 'n 3']
    loose: bool  # follows the skin and the neck; False: rigid with the skull


def headwear(person: Likeness) -> Shell | None:
    """Make what a person wears on the head; None: nothing."""
    kind = person.who.looks.headwear
    if not kind:
        return None
    return _scarf(person) if kind == 'scarf' else _hat(person, kind)


def _hat(person: Likeness, kind: str) -> Shell:
    who = person.who
    phi = np.linspace(-np.pi, np.pi, AROUND, False)
    edge = np.deg2rad(np.interp(np.abs(phi), _ANGLE, _EDGE[kind]))
    down = np.linspace(0, 1, ROWS)[:, None]
    height = np.deg2rad(89.0) + (edge - np.deg2rad(89.0)) * down
    flat = np.cos(height)
    d = np.stack([flat * np.sin(phi), np.sin(height), flat * np.cos(phi)], -1)
    far = _cast(person, CENTRE, d)
    puff = 0.85 + (0.9 if kind == 'knitted' else 0.35) * np.sin(np.pi * (1 - down) * 0.5) ** 2
    if kind == 'knitted':
        puff = puff + 0.28 * (down > 0.82) + 0.05 * np.sin(72 * phi)  # a turned-up hem, ribs
    points = CENTRE + (far + puff)[..., None] * d
    points = np.concatenate([points, points[-1:] - 0.75 * d[-1:]])
    cloth = np.array(who.looks.cloth_tone)
    seam = (
        1 - 0.25 * (np.abs(np.sin(3 * phi)) < 0.05) if kind == 'cap' else 1 + 0.2 * np.sin(72 * phi)
    )
    colours = np.broadcast_to(
        (cloth * np.ones((ROWS + 1, 1, 1))) * seam[None, :, None], points.shape
    )
    mesh = points.reshape(-1, 3), rolled(ROWS + 1, AROUND), colours.reshape(-1, 3)
    return Shell(*(_with_brim(*mesh, points[-2], phi, cloth) if kind == 'cap' else mesh), False)


def _with_brim(points, triangles, colours, edge, phi, cloth):
    """Add a peak over the forehead, with both sides."""
    front = np.abs(phi) < np.deg2rad(58)
    rim, q = edge[front], phi[front] / np.deg2rad(58)
    t = np.linspace(0, 1, 7)[:, None, None]
    reach = 6.0 * np.sqrt(np.clip(1 - q**2, 0, 1))[None, :, None]
    brim = rim[None] + t * reach * np.array([0.0, -0.22, 1.0])
    brim[..., 1] -= 0.018 * t[..., 0] * brim[..., 0] ** 2
    n = brim[..., 0].size
    faces = sheet(*brim.shape[:2])
    both = np.concatenate([faces, faces[:, ::-1] + n]) + len(points)
    brim = np.concatenate([brim.reshape(-1, 3), brim.reshape(-1, 3) - [0, 0.12, 0]])
    tone = np.broadcast_to(cloth * 0.9, brim.shape)
    return np.vstack([points, brim]), np.vstack([triangles, both]), np.vstack([colours, tone])


def _scarf(person: Likeness) -> Shell:
    who = person.who
    turn = np.linspace(-np.pi, np.pi, AROUND, False)  # 0 above the face, pi under the chin
    edge = np.deg2rad(46 + 10 * np.sin(turn) ** 2 + 5 * np.cos(turn) * (np.cos(turn) < 0))
    polar = edge + (np.deg2rad(176.0) - edge) * np.linspace(0, 1, ROWS)[:, None] ** 1.4
    d = np.stack([np.sin(polar) * np.sin(turn), np.sin(polar) * np.cos(turn), np.cos(polar)], -1)
    far = np.minimum(_cast(person, NAPE, d), 24.0)
    points = NAPE + far[..., None] * d
    folds = noise.lattice((points * [1.0, 0.35, 0.8]).reshape(-1, 3), 1.6, who.seed)
    folds = folds.reshape(far.shape)
    points = points + (0.75 + 0.3 * folds)[..., None] * d
    points = np.concatenate([points[:1] - 0.6 * d[:1], points])
    shade = np.exp(0.25 * np.concatenate([folds[:1], folds]))[..., None]
    colours = np.clip(np.array(who.looks.cloth_tone) * shade, 0, 1)
    faces = rolled(ROWS + 1, AROUND)[:, ::-1]
    return Shell(points.reshape(-1, 3), faces, colours.reshape(-1, 3), True)


def _cast(person: Likeness, origin, d):
    """Cast distances to the head with ears, smoothed so that cloth spans its hollows."""
    flat = np.ascontiguousarray(d.reshape(-1, 3))
    start = np.tile(origin, (len(flat), 1))
    both = [implicit.solve(prims, start, flat, 60.0) for prims in (person.bare, person.prims)]
    far = np.maximum(*both).reshape(d.shape[:2])
    for _ in range(3):
        far = np.maximum(far, (np.roll(far, 1, 1) + far + np.roll(far, -1, 1)) / 3)
    return far


def covered(kind: str, points: Float[np.ndarray, '... 3']) -> Bool[np.ndarray, '...']:
    """Find the points of hair that lie under what is worn."""
    if kind == 'scarf':
        return np.ones(points.shape[:-1], bool)
    if not kind:
        return np.zeros(points.shape[:-1], bool)
    off = points - CENTRE
    height = np.arctan2(off[..., 1], np.hypot(off[..., 0], off[..., 2]))
    phi = np.abs(np.arctan2(off[..., 0], off[..., 2]))
    return height > np.deg2rad(np.interp(phi, _ANGLE, _EDGE[kind]))
