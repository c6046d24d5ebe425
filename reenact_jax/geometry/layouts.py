"""Point layouts: numbered points of the face, its parts, edges and mirror images."""

import itertools
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from reenact_jax.common.errors import UserError


class Layout(NamedTuple):
    """A set of numbered points on the face."""

    name: str
    count: int
    parts: dict[str, tuple[int, ...]]  # face part -> its points, in drawing order
    edges: Int[np.ndarray, 'e 2']  # connected points: the polylines of the parts
    flip: Int[np.ndarray, ' n']  # mirrored[..., i] = points[..., flip[i]]

    @property
    def mouth(self) -> tuple[int, ...]:
        """Return all points of the lips."""
        return self.parts['outer_lips'] + self.parts['inner_lips']


# Parts drawn as closed polylines.
_RINGS = {'left_eye', 'right_eye', 'outer_lips', 'inner_lips'}


def _layout(name: str, parts: dict[str, tuple[int, ...]], flip_pairs, rings=_RINGS) -> Layout:
    count = 1 + max(max(points) for points in parts.values())
    edges = []
    for part, points in parts.items():
        edges += itertools.pairwise(points)
        if part in rings:
            edges.append((points[-1], points[0]))
    flip = np.arange(count)
    for a, b in flip_pairs:
        flip[a], flip[b] = b, a
    return Layout(name, count, parts, np.array(edges, np.int32), flip)


def _mirrored(first: range, second: range):
    """Pair two ranges of which the second runs the other way."""
    return zip(first, reversed(second), strict=True)


def _layout_68(name: str) -> Layout:
    """Lay out iBUG's 68 points; left and right are the image's."""
    parts = {
        'jaw': tuple(range(17)),
        'left_brow': tuple(range(17, 22)),
        'right_brow': tuple(range(22, 27)),
        'nose_bridge': tuple(range(27, 31)),
        'nose_base': tuple(range(31, 36)),
        'left_eye': tuple(range(36, 42)),
        'right_eye': tuple(range(42, 48)),
        'outer_lips': tuple(range(48, 60)),
        'inner_lips': tuple(range(60, 68)),
    }
    pairs = [
        *((i, 16 - i) for i in range(8)),
        *_mirrored(range(17, 22), range(22, 27)),
        *((31, 35), (32, 34)),
        *((36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)),
        *((48, 54), (49, 53), (50, 52), (59, 55), (58, 56)),
        *((60, 64), (61, 63), (67, 65)),
    ]
    return _layout(name, parts, pairs)


def _layout_106() -> Layout:
    """Lay out the 106 points of the JD and LaPa data sets: denser jaw, brows as rings, pupils."""
    parts = {
        'jaw': tuple(range(33)),
        'left_brow': tuple(range(33, 42)),
        'right_brow': tuple(range(42, 51)),
        'nose_bridge': tuple(range(51, 55)),
        'nose_base': tuple(range(55, 66)),
        'left_eye': tuple(range(66, 74)),
        'left_pupil': (74, 104),
        'right_eye': tuple(range(75, 83)),
        'right_pupil': (83, 105),
        'outer_lips': tuple(range(84, 96)),
        'inner_lips': tuple(range(96, 104)),
    }
    pairs = [
        *((i, 32 - i) for i in range(16)),
        # A brow: upper edge 33-37 from outside to inside, lower edge 38-41 from inside to outside;
        # the right one: upper edge 42-46 from inside to outside, lower edge 47-50 back.
        *_mirrored(range(33, 38), range(42, 47)),
        *_mirrored(range(38, 42), range(47, 51)),
        *((55, 65), (56, 64), (57, 63), (58, 62), (59, 61)),
        # An eye ring starts at its left corner and runs over the upper lid.
        *((66, 79), (67, 78), (68, 77), (69, 76), (70, 75), (71, 82), (72, 81), (73, 80)),
        *((74, 83), (104, 105)),
        *((84, 90), (85, 89), (86, 88), (95, 91), (94, 92)),
        *((96, 100), (97, 99), (103, 101)),
    ]
    return _layout('106', parts, pairs, rings=_RINGS | {'left_brow', 'right_brow'})


LAYOUTS = {'68': _layout_68('68'), '68c': _layout_68('68c'), '106': _layout_106()}

# The four local regions of AAN (and of part crops elsewhere), by layout.
_LOCAL: dict[str, tuple[str, ...]] = {
    'left_eye': ('left_brow', 'left_eye'),
    'right_eye': ('right_brow', 'right_eye'),
    'nose': ('nose_bridge', 'nose_base'),
    'mouth': ('outer_lips', 'inner_lips'),
}
LOCAL_PARTS = tuple(_LOCAL)
INNER_MOUTH = 'mouth_inside'  # a region of ours beside the paper's: what is between the lips
_LOCAL[INNER_MOUTH] = ('inner_lips',)


def local_points(layout: Layout, part: str) -> tuple[int, ...]:
    """Return the point numbers of a local region; an eye's includes its brow.

    Args:
      layout: of the points.
      part: one of `LOCAL_PARTS` or `INNER_MOUTH`.
    """
    return tuple(i for name in _LOCAL[part] for i in layout.parts[name])


def layout(points: str) -> Layout:
    """Look up the layout of a point set by its name.

    Raises:
      UserError: there is no such point set.
    """
    if points not in LAYOUTS:
        raise UserError(f'points: {points!r} is not one of {", ".join(LAYOUTS)}')
    return LAYOUTS[points]


def of_count(count: int) -> Layout:
    """Look up the layout with this number of points (68 and 68c have the same parts)."""
    return next(entry for entry in LAYOUTS.values() if entry.count == count)
