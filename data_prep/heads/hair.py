"""Hair styles, brows and beards: where strands root, how long they are, how they are combed."""

import numpy as np

from reenact_jax.data_prep.heads import colours, implicit, noise
from reenact_jax.data_prep.heads.anatomy import Measures
from reenact_jax.data_prep.heads.features import BROW_INNER, BROW_OUTER, brow_line, brow_width
from reenact_jax.data_prep.heads.hairline import beard_region, scalp
from reenact_jax.data_prep.heads.headwear import covered
from reenact_jax.data_prep.heads.identity import Identity
from reenact_jax.data_prep.heads.strands import FACIAL, HAIR, Strands, Style, grow
from reenact_jax.data_prep.heads.surface import Surface, step

STEPS = 20
COUNT = 8500
_DENSITY = {'curly': 0.75, 'afro': 1.8, 'buzz': 1.5, 'long': 1.2, 'bob': 1.2}


def scatter(surface: Surface, weight: np.ndarray, count: int, rng):
    """Draw random roots on the skin, dense where `weight` [vertices] is large.

    Returns:
      Points [n, 3], normals [n, 3] and the nearest vertex [n].
    """
    p = surface.points.reshape(-1, 3)
    f = surface.triangles
    cross = np.cross(p[f[:, 1]] - p[f[:, 0]], p[f[:, 2]] - p[f[:, 0]])
    area = np.linalg.norm(cross, axis=1)
    share = np.cumsum(area * weight[f].mean(1))
    if share[-1] <= 0:
        return np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0, np.int32)
    pick = np.searchsorted(share, rng.random(count) * share[-1])
    a, b = rng.random(count), rng.random(count)
    over = a + b > 1
    a, b = np.where(over, 1 - a, a), np.where(over, 1 - b, b)
    corners = p[f[pick]]
    points = corners[:, 0] + a[:, None] * (corners[:, 1] - corners[:, 0])
    points += b[:, None] * (corners[:, 2] - corners[:, 0])
    normal = cross[pick] / (area[pick, None] + 1e-12)
    nearest = f[pick, np.argmax(np.stack([1 - a - b, a, b]), 0)]
    return points, normal, nearest.astype(np.int32)


def all_strands(surface: Surface, bare: np.ndarray, m: Measures, who: Identity) -> Strands:
    """Grow everything that grows on a head except the lashes."""
    rng = np.random.default_rng([who.seed, 2])
    parts = [_brows(surface, m, who, rng)]
    if who.looks.beard.full:
        parts.append(_beard(surface, bare, m, who, rng))
    if who.style != 'bald':
        parts.append(_scalp_hair(surface, bare, who, rng))
    return Strands(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _resample(points, outward, steps=STEPS):
    """Stretch polylines of fewer points to `steps` points, so that all parts share one array."""
    n = points.shape[1]
    t = np.linspace(0, n - 1, steps)
    i = np.minimum(t.astype(int), n - 2)
    f = (t - i)[None, :, None]
    return tuple(a[:, i] * (1 - f) + a[:, i + 1] * f for a in (points, outward))


def _varied(base, n, rng, spread=0.22):
    tone = np.exp(spread * rng.normal(size=(n, 1)) + 0.05 * rng.normal(size=(n, 3)))
    return (np.asarray(base) * tone).astype(np.float32)


def _grey(who: Identity, n, rng):
    """Colour the hairs: grey comes hair by hair."""
    grey = rng.random(n) < 1.1 * who.hair_grey
    pure = np.where(grey[:, None], colours.hair(who, 1.0), colours.hair(who, 0.0))
    return _varied(np.ones(3), n, rng) * (0.6 * pure + 0.4 * colours.hair(who))


def _scalp_hair(surface: Surface, bare, who: Identity, rng) -> Strands:
    p = surface.points
    inside = scalp(p[..., 0], p[..., 1], p[..., 2], who)
    inside = inside + 0.25 * noise.lattice(p.reshape(-1, 3), 0.5, who.seed).reshape(inside.shape)
    weight = step(-0.1, 0.8, inside) * (1 + 1.2 * np.exp(-(((inside - 0.5) / 0.5) ** 2)))
    count = int(COUNT * _DENSITY.get(who.style, 1.0))
    roots, normal, _ = scatter(surface, weight.ravel(), count, rng)
    n = len(roots)
    depth = scalp(*roots.T, who)
    styles = np.tile(np.array(_STYLE[who.style](who)), (n, 1)).astype(float)
    combs = _combs(roots, normal, who, rng)
    edge = 0.35 + 0.65 * step(0.0, 1.6, depth)
    fine = np.where(styles[:, 0] > 12, 0.25 + 0.75 * step(0.05, 0.5, depth), edge)
    styles[:, 0] *= np.exp(0.18 * rng.normal(size=n)) * fine
    if who.style in ('afro', 'curly'):  # hairs of all lengths fill the volume
        styles[:, :2] *= rng.uniform(0.3, 1.0, (n, 1)) ** 0.7
    styles[:, 1] *= edge
    _trim(styles, roots, who)
    random = np.stack(
        [rng.random(n) * 6.28, rng.choice([-1.0, 1.0], n), *rng.uniform(-1, 1, (2, n))], -1
    )
    clump = noise.lattice(roots, 0.7, who.seed + 9)
    random[:, 0] = 6.28 * clump * 2 + 0.5 * random[:, 0]
    random[:, 2] = 0.5 * random[:, 2] + 0.8 * noise.lattice(roots, 0.9, who.seed + 3)
    random[:, 3] = 0.5 * random[:, 3] + 0.8 * noise.lattice(roots, 0.9, who.seed + 4)
    points, outward = np.zeros((n, STEPS, 3)), np.zeros((n, STEPS, 3))
    grow(bare, roots, combs, styles, random, points, outward)
    keep = ~_over_face(points, who)
    points, outward, depth = points[keep], outward[keep], depth[keep]
    n = len(points)
    if who.style == 'bun':
        points, outward, depth = _with_bun(points, outward, depth, who, rng)
        n = len(points)
    height = implicit.heights(bare, points.reshape(-1, 3)).reshape(n, -1)
    tall = max(0.3, np.percentile(height, 96))
    light = 0.38 + 0.62 * step(-0.1, 0.9, height / tall)
    base = _grey(who, n, rng)
    opacity = np.full((n, 1), 0.92) * _taper(STEPS) * rng.uniform(0.7, 1.0, (n, 1))
    opacity = np.where(covered(who.looks.headwear, points), 0.0, opacity)
    return Strands(
        points.astype(np.float32), outward.astype(np.float32), base.astype(np.float32),
        light.astype(np.float32), np.full(n, -1, np.int32), np.full(n, HAIR, np.int32),
        opacity.astype(np.float32),
    )  # fmt: skip


def _over_face(points, who: Identity) -> np.ndarray:
    """Tell which strands would hang into the face; a fringe may."""
    x, y, z = np.moveaxis(points, -1, 0)
    low = 6.0 - 3.9 * who.fringe if _has_fringe(who) else 6.0
    face = (z > 4.2) & (np.abs(x) < 5.2) & (y < low) & (y > -12)
    return face.any(1)


def _faint(n: int, opacity: float):
    return np.tile((opacity * _taper(STEPS)).astype(np.float32), (n, 1))


def _taper(steps: int):
    """Fade hairs in at the root and out at the tip."""
    t = np.linspace(0, 1, steps)
    return np.minimum(0.35 + 6 * t, 1) * np.minimum(1, 0.15 + 3.0 * (1 - t))


_STYLE = {
    'buzz': lambda w: Style(0.3 + 0.4 * w.hair_length, 0.3, 0.6, 0, 0, 0, 0.2, 0.9),
    'short': lambda w: Style(2.2 + 1.6 * w.hair_length, 0.7, 0.25, 0, 0, 0, 0.35, 0.75),
    'side': lambda w: Style(5.5 + 2.5 * w.hair_length, 1.1, 0.12, 0, 0, 0, 0.22, 0.7),
    'swept': lambda w: Style(
        7 + 3 * w.hair_length, 1.2, 0.15, 0, 0.05 * w.hair_wave, 0.2, 0.2, 0.75
    ),
    'curly': lambda w: Style(7 + 5 * w.hair_length, 1.9, 0.25, 0.05, 0.35, 0.42, 0.7, 0.8),
    'afro': lambda w: Style(2.6 + 2.2 * w.hair_length, 2.2, 0.9, 0, 0.17, 1.0, 0.6, 0.95),
    'bob': lambda w: Style(
        17 + 5 * w.hair_length, 0.9, 0.05, 0.22, 0.18 * w.hair_wave, 0.13, 0.12, 0.7
    ),
    'long': lambda w: Style(
        30 + 10 * w.hair_length, 0.9, 0.05, 0.22, 0.3 * w.hair_wave, 0.11, 0.12, 0.7
    ),
    'bun': lambda w: Style(14, 0.45, 0.02, 0, 0, 0, 0.08, 0.6),
}


def _combs(roots, normal, who: Identity, rng) -> np.ndarray:
    """Compute unit combing directions at the roots."""
    x, y, z = roots.T
    side = 1.0 if who.seed % 2 else -1.0
    part = side * (2.4 if who.style in ('side', 'short') or who.hair_length > 0.5 else 0.0)
    away = np.tanh((x - part) / 0.4)
    top = step(4.0, 8.0, y)
    zero = np.zeros_like(x)
    down = np.stack([0.25 * away, -1 + zero, -0.25 - 0.4 * step(3, 7, z)], -1)
    if who.style == 'swept':
        comb = np.stack([0.12 * x, 0.55 * top, -1 + zero], -1) * top[:, None] + (
            1 - top[:, None]
        ) * (np.stack([zero, -0.5 + zero, -1 + zero], -1))
    elif who.style == 'bun':
        comb = np.array([0.0, 5.5, -9.5]) - roots
    elif who.style == 'afro':
        comb = normal + 0.45 * rng.normal(size=normal.shape)
    elif who.style in ('short', 'buzz'):
        fore = np.stack([0.5 * side + zero, 0.35 + zero, 0.9 + zero], -1)
        comb = fore * top[:, None] + down * (1 - top[:, None])
    else:
        across = np.stack([away, 0.1 - 0.2 * top, -0.25 + 0.15 * step(3, 8, z)], -1)
        comb = across * top[:, None] + down * (1 - top[:, None])
    depth = scalp(x, y, z, who)
    edge = (
        np.exp(-np.clip(depth, 0, None) / 0.9)
        * step(1, 5, z)
        * (who.style not in ('buzz', 'short'))
    )
    if _has_fringe(who):
        front = step(2.5, 5.0, z)[:, None] * top[:, None]
        fall = np.stack([0.12 * x, -0.7 + zero, 1 + zero], -1)
        comb = comb + front * (fall - comb)
    else:
        comb = comb + edge[:, None] * np.array([0, 0.7, -1.1])
    comb = comb + 0.10 * rng.normal(size=comb.shape)
    comb += 0.25 * np.stack([noise.lattice(roots, 1.2, who.seed + k) for k in range(3)], -1)
    return comb / (np.linalg.norm(comb, axis=1, keepdims=True) + 1e-9)


def _has_fringe(who: Identity) -> bool:
    return who.fringe > 0 and who.style in ('bob', 'long', 'short', 'side', 'curly')


def _trim(styles, roots, who: Identity):
    """Shorten the sides of short styles; give some long ones a fringe."""
    _, y, z = roots.T
    if who.style in ('short', 'side', 'swept'):
        side = step(5.5, 2.0, y)
        styles[:, 0] *= 1 - 0.72 * side
        styles[:, 1] *= 1 - 0.65 * side
        styles[:, 2] *= 1 - 0.5 * side
    if _has_fringe(who):
        front = step(2.5, 5.0, z) * step(4.0, 6.0, y)
        fall = np.maximum(y, 6) - 4.6 + 3.0 * who.fringe
        styles[:, 0] = styles[:, 0] * (1 - front) + front * fall
        styles[:, 1] *= 1 - 0.4 * front


def _with_bun(points, outward, depth, who: Identity, rng):
    """Add a knot of hair at the back of the crown: strands wound round a ball."""
    n = 1600
    a, b = np.arccos(rng.uniform(-1, 1, n)), rng.random(n) * 6.28
    turn = np.linspace(0, 2.2, STEPS)[None]
    bb = b[:, None] + turn
    aa = a[:, None] + 0.25 * np.sin(2 * turn + a[:, None])
    unit = np.stack([np.sin(aa) * np.cos(bb), np.sin(aa) * np.sin(bb), np.cos(aa)], -1)
    size = (1.9 + 1.0 * who.hair_length) * (1 + 0.05 * rng.normal(size=(n, 1, 1)))
    ball = np.array([0.0, 7.3, -9.6]) + unit * size
    return (
        np.concatenate([points, ball]),
        np.concatenate([outward, unit]),
        np.concatenate([depth, np.full(n, 9.0)]),
    )


def _brows(surface: Surface, m: Measures, who: Identity, rng) -> Strands:
    p = surface.points.reshape(-1, 3)
    along = lambda x: (np.abs(x) - BROW_INNER) / (BROW_OUTER - BROW_INNER)  # noqa: E731
    q = along(p[:, 0])
    off = np.abs(p[:, 1] - brow_line(m, q)) / brow_width(m, q)
    weight = step(1.35, 0.3, off) * step(0.0, 0.25, q) * step(1.04, 0.8, q) * (p[:, 2] > 4)
    thick = 1 + 0.18 * np.clip(who.brow_thickness, -2, 3)
    count = int((250 + 1000 * who.looks.brow_density) * thick)
    roots, normal, vertex = scatter(surface, weight, count, rng)
    n = len(roots)
    q = np.clip(along(roots[:, 0]), 0, 1)
    angle = np.interp(q, [0, 0.15, 0.5, 1], [1.35, 0.75, 0.2, -0.35]) + 0.22 * rng.normal(size=n)
    low = (roots[:, 1] - brow_line(m, q)) / brow_width(m, q)
    angle -= 0.45 * low * step(0.1, 0.4, q)
    side = np.where(roots[:, 0] < 0, -1.0, 1.0)
    comb = np.stack([side * np.cos(angle), np.sin(angle), np.full(n, 0.25)], -1)
    length = 0.46 * np.exp(0.25 * rng.normal(size=n)) * (1 - 0.35 * q) * thick**0.5
    t = np.linspace(0, 1, 3)[None, :, None]
    points = roots[:, None] + normal[:, None] * 0.03 + comb[:, None] * length[:, None, None] * t
    lifted = points - normal[:, None] * 0.10 * length[:, None, None] * t**2
    points, outward = _resample(lifted, np.repeat(normal[:, None], 3, 1))
    light = np.full((n, STEPS), 0.85, np.float32)
    faint = _faint(n, 0.42) * rng.uniform(0.5, 1.2, (n, 1)).astype(np.float32)
    return Strands(
        points.astype(np.float32), outward.astype(np.float32),
        _varied(colours.brow(who), n, rng, 0.3), light, vertex, np.full(n, FACIAL, np.int32), faint,
    )  # fmt: skip


def _beard(surface: Surface, bare, m: Measures, who: Identity, rng) -> Strands:
    p = surface.points
    region = beard_region(p[..., 0], p[..., 1], p[..., 2], surface.lip, m, who.looks.beard)
    full = who.looks.beard.full
    area = 0.2 + 0.4 * who.looks.beard.cheeks + 0.4 * who.looks.beard.chin
    count = int((2200 + 4300 * full) * area)
    roots, normal, vertex = scatter(surface, region.ravel() ** 1.5, count, rng)
    n = len(roots)
    long = np.clip((full - 0.35) / 0.65, 0, 1)
    chin = step(m.mouth_y - 1, m.chin[0] + 0.5, roots[:, 1])
    length = 0.10 + 0.22 * full + long * (0.5 + 1.3 * chin * rng.random(n))
    length = length * np.exp(0.25 * rng.normal(size=n))
    fall = np.stack([0.25 * np.sign(roots[:, 0]), np.full(n, -1.0), np.full(n, 0.1)], -1)
    comb = fall + normal * (0.9 - 0.5 * long) + 0.25 * rng.normal(size=(n, 3))
    comb /= np.linalg.norm(comb, axis=1, keepdims=True)
    t = np.linspace(0, 1, 4)[None, :, None]
    points = roots[:, None] + comb[:, None] * length[:, None, None] * t
    points[..., 1] -= 0.25 * long * length[:, None] * t[..., 0] ** 2
    points, outward = _resample(points, np.repeat(normal[:, None], 4, 1))
    light = np.broadcast_to(0.55 + 0.45 * np.linspace(0, 1, STEPS), (n, STEPS))
    colour = _grey(who, n, rng)
    faint = _faint(n, 0.28 + 0.25 * full)
    single = [a.astype(np.float32) for a in (points, outward, colour, light)]
    return Strands(*single, vertex, np.full(n, FACIAL, np.int32), faint)
