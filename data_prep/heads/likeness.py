"""A person's landmarks in any state of the face, without a mesh: exact, and cheap to make."""

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from reenact_jax.data.tracks import AU_NAMES
from reenact_jax.data_prep.heads import anatomy, expressions, eyes, implicit, points, pose
from reenact_jax.data_prep.heads.compiled import compiled
from reenact_jax.data_prep.heads.identity import Identity, sample
from reenact_jax.data_prep.heads.pose import State
from reenact_jax.data_prep.heads.variety import Variety
from reenact_jax.data_prep.heads.warp import skew

NEUTRAL = np.zeros(len(AU_NAMES))
TURN_LIMIT = -0.12  # cosine at which a surface point counts as turned away


@dataclasses.dataclass(frozen=True)
class Likeness:
    """What landmarks need of a person. Lengths in centimetres, model axes."""

    who: Identity
    measures: anatomy.Measures
    prims: np.ndarray
    bare: np.ndarray
    anchors: points.Anchors
    fields: expressions.Fields
    neutral: Float[np.ndarray, 'n 3']  # the anchors with the person's asymmetry
    share: Float[np.ndarray, ' n']


class Marks(NamedTuple):
    """Landmarks of t frames in the camera's axes, centimetres, and what faces the camera."""

    surface: Float[np.ndarray, 't 106 3']
    contour: Float[np.ndarray, 't 17 3']  # the jaw on the silhouette
    facing: np.ndarray  # [t, 106] bool
    contour_facing: np.ndarray  # [t, 17] bool


def likeness(seed: int, variety: Variety = Variety()) -> Likeness:
    """Make the person of a seed."""
    who = sample(seed, variety)
    m = anatomy.measures(who)
    whole, bare = (implicit.table(p) for p in anatomy.sculpt(who))
    anchors = points.anchors(whole, m)
    neutral = skew(who, anchors.place.points)
    return Likeness(
        who, m, whole, bare, anchors, expressions.fields(anchors.place, m, who),
        neutral, pose.neck_share(neutral),
    )  # fmt: skip


def drive(person: Likeness, aus) -> tuple[np.ndarray, np.ndarray | np.floating]:
    """Compute the fields' weights [..., 17] and the jaw's angles [...] of intensities [..., 17]."""
    weights = expressions.effective(aus, person.who.strengths)
    return weights, expressions.JAW_ANGLE * weights[..., expressions.AU['AU26']]


def marks(person: Likeness, state: State) -> Marks:
    """Compute all landmarks of t frames; the fields of `state` have t rows."""
    weights, angle = drive(person, state.aus)
    frames = len(weights)
    p = np.empty((frames, *person.neutral.shape))
    turns = pose.levels(np.asarray(state.pose, float))
    _frames(person.neutral, person.fields.deltas, person.fields.jaw, weights, angle, p)
    _eyes(person, state, p)
    pose.place_frames(p, person.share, turns, pose.PIVOT, np.asarray(state.shift, float))
    facing = np.einsum('tk,nk->tn', turns[:, -1, 2], person.anchors.outward) > TURN_LIMIT
    strips = p[:, 106:].reshape(frames, 17, points.STRIP, 3)
    pick = _silhouette(strips, state.pose[:, 2])
    take = lambda a: np.take_along_axis(a, pick[..., None], 2)[:, :, 0]  # noqa: E731
    contour = np.take_along_axis(strips, pick[..., None, None], 2)[:, :, 0]
    return Marks(p[:, :106], contour, facing[:, :106],
                 take(facing[:, 106:].reshape(frames, 17, -1)))  # fmt: skip


@compiled
def _frames(neutral, deltas, jaw, weights, angles, out):
    for t in range(weights.shape[0]):
        expressions.deform(neutral, deltas, jaw, weights[t], angles[t], out[t])


def _eyes(person: Likeness, state: State, p: np.ndarray) -> None:
    """Compute the rings on the lids' edges, the middles of the openings, the pupils."""
    m, who = person.measures, person.who
    lids = eyes.opening(state.aus, who.strengths, state.gaze[:, 1])
    sight = eyes.gaze_direction(state.gaze)
    for side, first, middle, centre in ((0, 66, 74, 104), (1, 75, 83, 105)):
        q = points.EYE_Q if side else 1 - points.EYE_Q  # rings start at the image-left corner
        low, high = eyes.edges(m, lids, q)
        y = np.where(np.arange(8) < 4, high, low)
        y[:, [0, 4]] = 0.5 * (low + high)[:, [0, 4]]
        ring = points.lid_points(person.anchors, side, q[None] + 0 * y, y)
        p[:, first : first + 8] = skew(who, ring)
        low, high = eyes.edges(m, lids, np.array([0.5]))
        y = (low + high)[:, 0] / 2
        p[:, middle] = skew(who, points.lid_points(person.anchors, side, 0.5 + 0 * y, y))
        p[:, centre] = skew(who, points.pupil(m, side, sight))


def _silhouette(strips: Float[np.ndarray, 't 17 s 3'], roll: Float[np.ndarray, ' t']) -> np.ndarray:
    """Choose of each strip the point that lies furthest out: iBUG's practice for turned faces."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, 17)
    out = np.stack([np.sin(angle), -np.cos(angle) * np.abs(np.cos(angle))], -1)
    c, s = np.cos(roll), np.sin(roll)  # a positive roll is clockwise; y is up here
    turn = np.stack([np.stack([c, s], -1), np.stack([-s, c], -1)], -2)
    out = np.einsum('tij,nj->tni', turn, out)
    flat = strips[..., :2] * (pose.DISTANCE / (pose.DISTANCE - strips[..., 2:]))
    return np.argmax((flat * out[:, :, None]).sum(-1), 2)
