"""One frame of a head: pose, light, samples, pixels."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from reenact_jax.data.tracks import FACE, HAIR
from reenact_jax.data_prep.heads import (
    camera,
    colours,
    expressions,
    eyes,
    glasses,
    light,
    occlusion,
    pose,
    rasteriser,
    shade,
    strands,
)
from reenact_jax.data_prep.heads.head import FLESH, FRAME, Head
from reenact_jax.data_prep.heads.lashes import lashes
from reenact_jax.data_prep.heads.light import Scene
from reenact_jax.data_prep.heads.likeness import Marks, drive
from reenact_jax.data_prep.heads.pose import State
from reenact_jax.data_prep.heads.texture import WRINKLES

SHADOW_MAP = 256
BEHIND = 0.5  # cm behind what is seen where no part of a hair can show any more
HIDDEN = 0.45  # cm by which a point must lie behind what is seen to count as hidden


class Frame(NamedTuple):
    """An image with what is seen in it."""

    image: UInt8[np.ndarray, 'h w 3']
    segmentation: UInt8[np.ndarray, 'h w']
    depth: Float[np.ndarray, 'h2 w2']  # of the samples, as rasteriser.py has it


class _Posed(NamedTuple):
    points: np.ndarray
    normals: np.ndarray
    soft: np.ndarray
    weights: np.ndarray
    lids: np.ndarray  # [2, s, 4]
    hair: np.ndarray  # [n, s, 3] strands with lashes
    outward: np.ndarray
    hair_tone: np.ndarray
    hair_light: np.ndarray
    kinds: np.ndarray
    opacity: np.ndarray


def render(head: Head, state: State, scene: Scene, back, crop, size: int, frame: int) -> Frame:
    """Draw a head.

    Args:
      head: from `head.bake`; state: of the face; scene: the lights.
      back: [size, size, 3] linear background.
      crop: (x0, y0, side) of the virtual camera's pixels that the image shows.
      size: side of the image; frame: number, for the sensor's noise.
    """
    p = _pose(head, state)
    wide = 2 * size
    depth, shown = np.empty((wide, wide), np.float32), np.empty((wide, wide), np.int32)
    u, v = np.zeros((wide, wide), np.float32), np.zeros((wide, wide), np.float32)
    rasteriser.clear(depth, shown)
    screen = _screen(p.points, crop, wide)
    k = head.skin_faces
    lids3 = np.ascontiguousarray(p.lids[..., :3])
    rasteriser.triangles(screen, head.faces[:k], 0, False, lids3, head.chart, depth, shown, u, v)
    rasteriser.triangles(
        screen, head.faces[k:], k, False, lids3[:, :0], head.chart, depth, shown, u, v
    )
    lit = np.empty((wide, wide, 3), np.float32)
    classes = np.empty((wide, wide), np.uint8)
    who = head.person.who
    furrow = np.array([p.weights[expressions.AU[name]] for name in WRINKLES])
    vertex = shade.packed(
        p.normals, p.soft, head.chart, head.uv, head.ambient, _shadow(head, p, scene), head.gloss
    )
    shade.shade(
        shown, u, v, head.faces, head.material, vertex, head.tone, head.texture.paint,
        head.texture.wrinkles, furrow, p.lids, eyes.gaze_direction(state.gaze),
        pose.rotation(state.pose), colours.iris(who), float(who.female), scene.lamps,
        scene.ambient, back, lit, classes,
    )  # fmt: skip
    if head.glasses is not None:
        _draw_lenses(head.glasses, state, scene, crop, depth, lit)
    _draw_hair(p, scene, crop, depth, lit, classes)
    image = np.empty((size, size, 3), np.float32)
    merged = np.empty((size, size), np.uint8)
    gain = scene.gain * np.float32(light.metered(colours.skin(who)))
    shade.develop(lit, classes, gain, scene.gamma, image, merged)
    return Frame(camera.develop(image, scene.camera, frame), merged, depth)


def visible(frame: Frame, marks: Marks, t: int, crop) -> tuple[np.ndarray, np.ndarray]:
    """Tell whether frame t shows each of the 106 points and each of the contour's 17 points."""
    out = []
    for points in (marks.surface[t], marks.contour[t]):
        screen = _screen(points.astype(np.float32), crop, frame.depth.shape[0])
        out.append(_seen(frame.depth, screen, HIDDEN))
    return out[0], out[1]


def _seen(depth, screen, slack: float) -> np.ndarray:
    """Tell which points are not behind the farthest of the 5 x 5 samples around them."""
    n = depth.shape[0]
    inside = (screen[:, :2] >= 0).all(1) & (screen[:, :2] < n).all(1)
    x, y = (np.clip(screen[:, k].astype(int), 0, n - 1) for k in (0, 1))
    far = np.full(len(screen), -np.inf)
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            far = np.maximum(far, depth[np.clip(y + dy, 0, n - 1), np.clip(x + dx, 0, n - 1)])
    return inside & (screen[:, 2] <= far + slack / pose.DISTANCE)


def _screen(points, crop, wide: int):
    out = np.empty(points.shape, np.float32)
    x0, y0, side = crop[:3]
    pose.to_samples(points, pose.DISTANCE, pose.SCALE, *pose.CENTRE, x0, y0, wide / side, out)
    return out


def _pose(head: Head, state: State) -> _Posed:
    person = head.person
    weights, angle = drive(person, state.aus)
    shape = np.empty_like(head.neutral)
    expressions.deform(head.neutral, head.deltas, head.jaw, weights, angle, shape)
    turns, shift = (
        pose.levels(np.asarray(state.pose, float)[None])[0],
        np.asarray(state.shift, float),
    )
    points = np.empty_like(shape)
    pose.place(shape, head.share, turns, pose.PIVOT, shift, points)
    normals, soft = np.empty_like(points), np.empty_like(points)
    rasteriser.normals(points, head.faces, head.twins, normals)
    shade.soften(normals, head.faces, 5, soft)
    lids = eyes.opening(state.aus, person.who.strengths, state.gaze[1])
    lash = lashes(person, lids)
    s = head.strands
    moved = s.points.copy()
    bound = s.root >= 0
    moved[bound] += (shape - head.neutral)[s.root[bound]][:, None]
    hair = np.concatenate([moved, lash.points.astype(np.float32)])
    share = np.concatenate([head.strand_share, np.ones(lash.points.shape[:2], np.float32)])
    placed, outward = np.empty_like(hair), np.concatenate([s.outward, lash.outward])
    flat = hair.reshape(-1, 3)
    pose.place(flat, share.ravel(), turns, pose.PIVOT, shift, placed.reshape(-1, 3))
    outward = np.ascontiguousarray(outward @ pose.rotation(state.pose).T.astype(np.float32))
    join = lambda a, b: np.concatenate([a, b])  # noqa: E731
    return _Posed(
        points, normals, soft, weights, _lid_tables(person, lids), placed, outward,
        join(s.colours, lash.colours), join(s.light, lash.light), join(s.kind, lash.kind),
        join(s.opacity, lash.opacity),
    )  # fmt: skip


def _lid_tables(person, state: eyes.Opening) -> np.ndarray:
    """List the lids' edges; the fourth column is the height of the crease over the upper one."""
    m = person.measures
    now = eyes.table(m, state)
    rest = eyes.table(m, eyes.Opening(1.0, 0.0))
    fold = 0.20 + 0.05 * person.who.lid_fold * -1
    level = rest[..., 2] + max(0.05, fold)
    crease = np.maximum(level - now[..., 2], 0.07 + 0 * level)
    return np.concatenate([now, crease[..., None]], -1).astype(np.float32)


def _shadow(head: Head, p: _Posed, scene: Scene) -> np.ndarray:
    direction = scene.lamps[0, :3]
    centre = p.points[:: max(1, len(p.points) // 500)].mean(0) * np.array([1, 0, 1], np.float32)
    centre = centre + np.array([0, -4, 0], np.float32)
    solid = (head.material <= FLESH) | (head.material >= FRAME)
    skin = head.faces[solid]
    screen, depth = occlusion.depth_map(p.points, skin, direction, SHADOW_MAP, centre)
    out = np.empty(len(p.points), np.float32)
    occlusion.lit(screen, depth, 0.35, 0.6, 1, out)
    if scene.shade.kind:
        across = occlusion.SPAN / SHADOW_MAP * (screen[:, :2] - SHADOW_MAP / 2)
        out *= light.through(scene.shade, *across.T)
    rows, cols = head.grid
    occlusion.soften(out[: rows * cols].reshape(rows, cols))
    return out


def _draw_lenses(worn: glasses.Glasses, state: State, scene: Scene, crop, depth, lit) -> None:
    """Tint what is seen through the lenses and add what they reflect; they hide nothing."""
    wide = len(depth)
    turn = pose.rotation(state.pose)
    points = (worn.lens - pose.PIVOT) @ turn.T + pose.PIVOT + state.shift
    screen = _screen(points.astype(np.float32), crop, wide)
    shown = np.full((wide, wide), -1, np.int32)
    u, v = np.zeros((wide, wide), np.float32), np.zeros((wide, wide), np.float32)
    none = np.zeros((2, 0, 3), np.float32)
    rasteriser.triangles(
        screen, worn.lens_triangles, 0, True, none, screen[:, :2].copy(), depth.copy(), shown, u, v
    )
    y, x = np.nonzero(shown >= 0)
    corners = worn.lens_triangles[shown[y, x]]
    a, b = u[y, x, None], v[y, x, None]
    of = lambda k: worn.normals[corners[:, k]]  # noqa: E731
    normals = ((1 - a - b) * of(0) + a * of(1) + b * of(2)) @ turn.T
    lit[y, x] = lit[y, x] * worn.tint + glasses.gleam(worn, normals, scene.lamps, scene.ambient)


def _draw_hair(p: _Posed, scene: Scene, crop, depth, light, classes) -> None:
    view = np.array([0.0, 0.0, 1.0])
    wide = len(depth)
    screen = _screen(p.hair.reshape(-1, 3), crop, wide).reshape(p.hair.shape)
    seen = np.flatnonzero(strands.in_view(screen, depth, BEHIND / pose.DISTANCE))
    screen, hair, outward, tone, share, kinds, faint = (
        array[seen]
        for array in (screen, p.hair, p.outward, p.hair_tone, p.hair_light, p.kinds, p.opacity)
    )
    lit = np.empty_like(hair)
    strands.shade(hair, outward, tone, share, scene.lamps, scene.ambient, view, lit)
    # A hair is thinner than a sample: smaller images show it fainter.
    opacity = np.clip(faint * (wide / 512) ** 0.5, 0, 1)
    strands.draw(
        screen, lit, opacity, kinds, 0.06 / pose.DISTANCE, depth, np.zeros_like(depth), light,
        classes, np.array([HAIR, FACE], np.uint8),
    )  # fmt: skip
