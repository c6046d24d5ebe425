"""Glasses: a frame of tubes before the eyes, temples to the ears, and thin lenses that reflect."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from reenact_jax.data_prep.heads import implicit
from reenact_jax.data_prep.heads.anatomy import EYEBALL
from reenact_jax.data_prep.heads.likeness import Likeness

SIDES = 6  # of a tube
AROUND = 48  # points of a lens' outline
CURVE = 11.0  # radius of the lenses, cm, by which reflections wander


class Glasses(NamedTuple):
    """Meshes in the head's frame, centimetres."""

    points: Float[np.ndarray, 'n 3']
    triangles: Int[np.ndarray, 'f 3']
    lens: Float[np.ndarray, 'm 3']
    lens_triangles: Int[np.ndarray, 'g 3']
    normals: Float[np.ndarray, 'm 3']  # of the lenses
    tint: Float[np.ndarray, ' 3']  # share of light that the lenses let through
    gleam: float  # share of light that they reflect


def glasses(person: Likeness) -> Glasses | None:
    """Make the glasses of a person; None: the person wears none."""
    who = person.who
    if not who.looks.glasses:
        return None
    rng = np.random.default_rng([who.seed, 14])
    kind = who.looks.glasses
    outline = _outline(person, rng)
    radius = {'thin': 0.065, 'thick': 0.15, 'half': 0.10, 'rimless': 0.0, 'tinted': 0.10}[kind]
    thin = max(0.055, 0.8 * radius)
    tubes = [_tube(_temple(person, outline), thin), _tube(_bridge(outline), max(0.07, radius))]
    if radius:
        rim = outline[: AROUND // 2 + 1] if kind == 'half' else np.vstack([outline, outline[:1]])
        tubes.append(_tube(rim, radius))
    right = _joined(tubes)
    middle = outline.mean(0)
    lens = np.vstack([middle + np.array([0, 0, 0.12]), outline])
    i = np.arange(AROUND)
    fan = np.stack([0 * i, 1 + i, 1 + (i + 1) % AROUND], -1).astype(np.int32)
    out = (lens - middle) / CURVE
    normals = np.stack([out[:, 0] + 0.06, out[:, 1] - 0.04, np.ones(len(out))], -1)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    tint = np.exp(rng.normal(size=3) * 0.15) * rng.uniform(0.25, 0.6)
    clear = np.full(3, rng.uniform(0.9, 0.97))
    return Glasses(
        *_joined([right, _mirrored(*right)]),
        *_joined([(lens, fan), _mirrored(lens, fan)]),
        np.vstack([normals, normals * [-1, 1, 1]]),
        np.minimum(tint, 0.7) if kind == 'tinted' else clear,
        float(rng.uniform(0.15, 1.0)),
    )


def _outline(person: Likeness, rng) -> Float[np.ndarray, 'n 3']:
    """Draw the right lens' edge, anticlockwise from the outer end, clear of skin and lashes."""
    m = person.measures
    x, half = m.eye[0] + rng.uniform(0.0, 0.25), rng.uniform(2.3, 2.9)
    half = min(half, x - 0.85)
    tall, y = half * rng.uniform(0.62, 0.98), rng.uniform(-0.55, -0.1)
    power = rng.uniform(2.0, 4.5)
    a = np.linspace(0, 2 * np.pi, AROUND, False)
    c, s = np.cos(a), np.sin(a)
    narrow = 1 + rng.uniform(-0.02, 0.10) * s  # wider above than below
    px = x + half * np.sign(c) * np.abs(c) ** (2 / power) * narrow
    py = y + tall * np.sign(s) * np.abs(s) ** (2 / power)
    front = m.eye[2] + EYEBALL
    wide = px > 1.4  # by the nose the pads hold it
    skin = _forward(person.prims, px[wide], py[wide])
    z = np.clip((skin + 0.012 * px[wide] ** 2).max() + 0.3, front + 0.75, front + 1.7)
    return np.stack([px, py, z - 0.012 * px**2 + 0.02 * (py - y)], -1)


def _forward(prims, x, y):
    origin = np.stack([x, y, np.full(len(x), 3.5)], -1)
    return 3.5 + implicit.solve(prims, origin, np.tile([0.0, 0.0, 1.0], (len(x), 1)), 40.0)


def _bridge(outline):
    """Draw the bridge from the inner edge of the right lens over the nose to the middle."""
    inner = outline[np.argmin(outline[:, 0] - 0.5 * (outline[:, 1] > outline[:, 1].mean()))]
    t = np.linspace(0, 1, 6)[:, None]
    top = np.array([0.0, inner[1] + 0.30, inner[2] + 0.25])
    line = inner + (top - inner) * np.sin(t * np.pi / 2)
    line[:, 0] = inner[0] * (1 - t[:, 0])
    return line


def _temple(person: Likeness, outline):
    """Draw the arm from the hinge along the temple, over the ear and down behind it."""
    right = outline[np.argmax(outline[:, 0] + 0.6 * outline[:, 1])]
    z = np.concatenate([[right[2]], np.linspace(right[2] - 0.5, -1.2, 12)])
    y = np.interp(z, [-1.2, right[2]], [1.15, right[1]])
    origin = np.stack([0 * z, y, z], -1)
    wide = implicit.solve(person.prims, origin, np.tile([1.0, 0, 0], (len(z), 1)), 20.0)
    wide = np.where(z > 7, 0, wide) + 0.15
    line = np.interp(z, [-1.2, right[2] - 0.5, right[2]], [wide[-1], right[0] + 0.45, right[0]])
    x = np.maximum(line, np.minimum(wide, line + 2.5))
    hook = np.array([x[-1] - 0.05, y[-1] - 2.2, z[-1] - 1.4])
    return np.vstack([np.stack([x, y, z], -1), hook])


def _tube(line, radius: float):
    """Make a tube about a polyline [n, 3]: points and triangles."""
    along = np.gradient(line, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
    up = np.array([0.15, 0.3, 1.0])
    a = np.cross(along, up)
    a /= np.linalg.norm(a, axis=1, keepdims=True) + 1e-9
    b = np.cross(along, a)
    turn = np.linspace(0, 2 * np.pi, SIDES, False)
    ring = np.cos(turn)[None, :, None] * a[:, None] + np.sin(turn)[None, :, None] * b[:, None]
    points = (line[:, None] + radius * ring).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(len(line) - 1), np.arange(SIDES), indexing='ij')
    p, q = (i * SIDES + j).ravel(), (i * SIDES + (j + 1) % SIDES).ravel()
    r, s = p + SIDES, q + SIDES
    return points, np.concatenate([np.stack([p, q, r], -1), np.stack([q, s, r], -1)])


def _mirrored(points, triangles):
    return points * [-1, 1, 1], triangles[:, ::-1]


def _joined(meshes):
    first = np.cumsum([0] + [len(points) for points, _ in meshes])
    faces = [faces + f for (_, faces), f in zip(meshes, first[:-1], strict=True)]
    return np.vstack([points for points, _ in meshes]), np.vstack(faces).astype(np.int32)


def gleam(glasses: Glasses, normals: Float[np.ndarray, 'n 3'], lamps, ambient):
    """Compute the light [n, 3] that lenses throw to the camera; `normals` in the camera's axes."""
    mirrored = 2 * normals[:, 2:] * normals - [0, 0, 1]  # the view, reflected
    up = 0.5 + 0.5 * mirrored[:, 1:2]
    light = 0.6 * (ambient[0] * up + ambient[1] * (1 - up))
    for lamp in lamps:
        toward = np.clip(mirrored @ lamp[:3], 0, 1)[:, None]
        light = light + lamp[3:] * (4.0 * (toward > 0.955) + 0.5 * toward**12)
    fresnel = 0.04 + 0.96 * (1 - np.clip(normals[:, 2:], 0, 1)) ** 5
    return glasses.gleam * np.minimum(fresnel, 0.5) * light
