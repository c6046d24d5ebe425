"""Named changes of a face's landmarks (FReeNet, section 4.6: landmark manipulation).

An edit moves some parts of the layout by a strength in [-1, 1], in the face's own axes: x along the
line between the eyes, y at a right angle to it, so that a tilted head is edited like an upright
one. Names and amounts are ours; the paper shows mouth, face and eyes. Edits act on what a generator
is given, after any transfer, one after the other.
"""

import re
from collections.abc import Callable, Iterable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from reenact_jax.common.arrays import AnyArray
from reenact_jax.common.errors import UserError
from reenact_jax.geometry import exact
from reenact_jax.geometry.layouts import Layout

Points = Float[AnyArray, 'b n 2']
EYES = ('left_eye', 'left_pupil'), ('right_eye', 'right_pupil')
BROWS = 'left_brow', 'right_brow'
LIPS = 'outer_lips', 'inner_lips'


def parse(texts: Iterable[str]) -> dict[str, float]:
    """Read texts such as 'mouth_open=0.6' as {name: strength}.

    Raises:
      UserError: a text has another form, a name is unknown or given twice, or a strength is outside
        [-1, 1].
    """
    strengths = {}
    for text in texts:
        name, sign, value = text.partition('=')
        if name not in EDITS:
            raise UserError(f'--edit {text}: no such edit; there are {", ".join(EDITS)}')
        if name in strengths:
            raise UserError(f'--edit {text}: {name} was given already')
        if not sign or not re.fullmatch(r'[-+]?(\d+\.?\d*|\.\d+)', value):
            raise UserError(f'--edit {text}: give a strength from -1 to 1, such as {name}=0.5')
        if not -1 <= float(value) <= 1:
            raise UserError(f'--edit {text}: the strength must be from -1 to 1')
        strengths[name] = float(value)
    return strengths


def apply(
    points: Float[AnyArray, 'b n 2'],
    layout: Layout,
    strengths: dict[str, float],
    amount: float | AnyArray = 1.0,
) -> Points:
    """Apply all edits to landmarks, one after the other.

    Args:
      points: landmarks in pixels.
      layout: their point set.
      strengths: name of an edit -> strength in [-1, 1].
      amount: factor of all strengths, [] or [b].

    Returns:
      The edited landmarks in pixels.
    """
    amount = jnp.broadcast_to(jnp.asarray(amount, points.dtype), points.shape[:1])
    for name, strength in strengths.items():
        axes, origin = _axes(points, layout)
        face = exact.einsum('bnd,bde->bne', points - origin, axes)
        face = EDITS[name](face, layout, strength * amount)
        points = exact.einsum('bne,bde->bnd', face, axes) + origin
    return points


def between(
    start: Float[AnyArray, 'n d'], end: Float[AnyArray, 'n d'], amount: Float[AnyArray, ' b']
) -> Float[AnyArray, 'b n d']:
    """Interpolate from one landmark set, or motion of another kind, to another.

    Args:
      start: landmarks at 0.
      end: landmarks at 1.
      amount: share of the way, for each result.
    """
    share = amount[:, None, None]
    return (1 - share) * start[None] + share * end[None]


def _axes(
    points: Points, layout: Layout
) -> tuple[Float[AnyArray, 'b 2 2'], Float[AnyArray, 'b 1 2']]:
    """Return the face's x and y as unit columns, and their origin between the eyes."""
    left, right = (points[:, list(layout.parts[eyes[0]])].mean(1) for eyes in EYES)
    x = right - left
    x = x / jnp.maximum(jnp.linalg.norm(x, axis=-1, keepdims=True), 1e-6)
    y = jnp.stack([-x[:, 1], x[:, 0]], -1)
    return jnp.stack([x, y], -1), ((left + right) / 2)[:, None]


def _at(layout: Layout, *parts: str) -> np.ndarray:
    """Return the numbers of the points of those parts that the layout has."""
    return np.array([i for part in parts for i in layout.parts.get(part, ())])


def _width(face: Points, at: np.ndarray) -> Float[AnyArray, 'b 1']:
    """Return the extent of points along x."""
    return (face[:, at, 0].max(1) - face[:, at, 0].min(1))[:, None]


def _mouth_open(face: Points, layout: Layout, by: Float[AnyArray, ' b']) -> Points:
    """1: the lower lip falls by 0.45 mouth widths and takes the chin along; -1: the lips meet."""
    rings = [np.array(layout.parts[name]) for name in LIPS]
    half = [len(ring) // 2 for ring in rings]  # a ring: left corner, upper lip, right corner, lower
    lower, inner = (ring[n + 1 :] for ring, n in zip(rings, half, strict=True))
    upper = rings[1][1 : half[1]][::-1]  # above `inner`, point by point
    left, right = face[:, rings[1][0]], face[:, rings[1][half[1]]]
    span = jnp.maximum(right[:, :1] - left[:, :1], 1e-6)
    gap = face[:, inner, 1] - face[:, upper, 1]
    opening, closing = jnp.maximum(by, 0)[:, None], jnp.maximum(-by, 0)[:, None]
    for at, shut in ((lower, gap.max(1, keepdims=True)), (inner, gap)):
        # 1 in the middle of the mouth, 0 at its corners.
        aside = (face[:, at, 0] - (left + right)[:, :1] / 2) / (span / 2)
        arch = jnp.clip(1 - aside**2, 0, 1)
        shut = shut * (arch if at is lower else 1)
        face = face.at[:, at, 1].add(opening * 0.45 * span * arch - closing * shut)
    jaw, top = _at(layout, 'jaw'), (left + right)[:, 1:] / 2
    bottom = face[:, jaw, 1].max(1, keepdims=True)
    depth = jnp.clip((face[:, jaw, 1] - top) / jnp.maximum(bottom - top, 1e-6), 0, 1)
    return face.at[:, jaw, 1].add(opening * 0.35 * span * depth**2)


def _mouth_width(face: Points, layout: Layout, by: Float[AnyArray, ' b']) -> Points:
    """1: lips 1.3 times as wide."""
    return _stretch(face, _at(layout, *LIPS), 0, 1 + 0.3 * by)


def _smile(face: Points, layout: Layout, by: Float[AnyArray, ' b']) -> Points:
    """1: the corners of the mouth rise by 0.2 mouth widths; -1: they fall."""
    lips = _at(layout, *LIPS)
    middle, width = face[:, lips, 0].mean(1, keepdims=True), _width(face, lips)
    aside = ((face[:, lips, 0] - middle) / jnp.maximum(width / 2, 1e-6)) ** 2
    return face.at[:, lips, 1].add(-0.2 * by[:, None] * width * aside)


def _face_width(face: Points, layout: Layout, by: Float[AnyArray, ' b']) -> Points:
    """1: the contour 1.2 times as wide; -1: 0.8 times."""
    return _stretch(face, _at(layout, 'jaw'), 0, 1 + 0.2 * by)


def _eye_open(face: Points, layout: Layout, by: Float[AnyArray, ' b']) -> Points:
    """1: lids twice as far apart; -1: shut."""
    for eye in EYES:
        face = _stretch(face, _at(layout, eye[0]), 1, 1 + by)
    return face


def _eye_rotation(face: Points, layout: Layout, by: Float[AnyArray, ' b']) -> Points:
    """1: both eyes turned by 25 degrees, outer corners up; -1: down."""
    for eye, side in zip(EYES, (1, -1), strict=True):
        at, angle = _at(layout, *eye), side * np.deg2rad(25) * by
        turn = jnp.stack(
            [
                jnp.stack([jnp.cos(angle), -jnp.sin(angle)], -1),
                jnp.stack([jnp.sin(angle), jnp.cos(angle)], -1),
            ],
            -2,
        )
        centre = face[:, _at(layout, eye[0])].mean(1, keepdims=True)
        face = face.at[:, at].set(exact.einsum('bij,bnj->bni', turn, face[:, at] - centre) + centre)
    return face


def _brow_raise(face: Points, layout: Layout, by: Float[AnyArray, ' b']) -> Points:
    """1: brows higher by the width of an eye times 0.5."""
    width = (_width(face, _at(layout, 'left_eye')) + _width(face, _at(layout, 'right_eye'))) / 2
    return face.at[:, _at(layout, *BROWS), 1].add(-0.5 * by[:, None] * width)


def _stretch(face: Points, at: np.ndarray, axis: int, factor: Float[AnyArray, ' b']) -> Points:
    """Scale points along an axis about their mean."""
    part = face[:, at, axis]
    middle = part.mean(1, keepdims=True)
    return face.at[:, at, axis].set(middle + factor[:, None] * (part - middle))


EDITS: dict[str, Callable[[Points, Layout, Float[AnyArray, ' b']], Points]] = {
    'mouth_open': _mouth_open,
    'mouth_width': _mouth_width,
    'smile': _smile,
    'face_width': _face_width,
    'eye_open': _eye_open,
    'eye_rotation': _eye_rotation,
    'brow_raise': _brow_raise,
}


def describe() -> str:
    """Return one line per edit, for --help."""
    return '\n'.join(f'  {name:<14}{function.__doc__}' for name, function in EDITS.items())
