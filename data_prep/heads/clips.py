"""Tracks of heads: a person performs a motion before one camera, with every label exact."""

import io
from typing import NamedTuple

import numpy as np
import simplejpeg
from PIL import Image

from reenact_jax.data import tracks
from reenact_jax.data_prep.heads import light, motion, points, pose
from reenact_jax.data_prep.heads.background import background
from reenact_jax.data_prep.heads.head import Head
from reenact_jax.data_prep.heads.likeness import Likeness, Marks, marks
from reenact_jax.data_prep.heads.pose import State
from reenact_jax.data_prep.heads.render import render, visible
from reenact_jax.data_prep.heads.variety import Variety
from reenact_jax.geometry import landmarks

QUALITY = 95  # of the JPEG frames


class Labels(NamedTuple):
    """Names and numbers of a track."""

    track_id: str
    identity: int
    motion: int  # number of the motion in the set: the labels count its frames
    scene: int  # seed of lights and background
    pair: int = tracks.UNLABELLED
    role: int = tracks.UNLABELLED
    expression: bool = True  # False: frames of no labelled motion
    pose: bool = True  # False: the head turns as in no labelled motion


def crop_of(found: Marks) -> tuple[float, float, float]:
    """Choose the crop of a track, in the virtual camera's pixels."""
    return landmarks.crop_box(pose.project(found.surface[:, points.IBUG])[..., :2])


def clip(person: Likeness, state: State, labels: Labels, size: int, *, head: Head | None = None,
         crop=None, variety: Variety = Variety()) -> tracks.Track:  # fmt: skip
    """Make a track of a person; rendered if a head is given, else landmarks alone.

    Args:
      person: whose landmarks; state: t frames; labels: names and numbers.
      size: side of the crop, pixels.
      head: the baked head, to render; None leaves the images empty.
      crop: (x0, y0, side) of the virtual camera; None: that of the track's own landmarks.
      variety: the shares that the scene is drawn with.
    """
    found = marks(person, state)
    crop = crop_of(found) if crop is None else crop
    rest = marks(person, motion.neutral(state))
    frames = len(state.aus)
    seen = found.facing, found.contour_facing
    images = segmentations = (b'',) * frames
    if head is not None:
        scene = light.scene(labels.scene, variety)
        back = background(labels.scene, size, variety)
        images, segmentations, seen = _images(head, state, found, scene, back, crop, size)
    number = np.arange(frames) + labels.motion * frames
    unknown = np.full(frames, tracks.UNLABELLED)
    who = person.who
    return tracks.Track(
        track_id=labels.track_id,
        identity=labels.identity,
        identity_name=f'synthetic_{who.seed}',
        size=size,
        image=images,
        segmentation=segmentations,
        **_points(found, crop, size, ''),
        **_visible(*seen),
        aus=np.concatenate([state.aus, state.pose], 1).astype(np.float32),
        aus_valid=np.ones((frames, 20), np.int64),
        gaze=state.gaze.astype(np.float32),
        gaze_valid=np.ones(frames, np.int64),
        expression=number if labels.expression else unknown,
        pose_id=number if labels.expression and labels.pose else unknown,
        **_points(rest, crop, size, 'reference'),
        frame_number=motion.frame_numbers(frames),
        crop=np.array([*crop, motion.RATE], np.float32),
        source_file=f'data_prep.synthetic person {who.seed} motion {labels.motion}',
        detector='exact',
        licence='none: synthetic',
        consent='synthetic',
        pair=labels.pair,
        role=labels.role,
    )


def _points(found: Marks, crop, size: int, kind: str) -> dict:
    """Compute the three point sets in pixels of the crop, z with mean 0."""
    surface = pose.window(pose.project(found.surface), crop, size)
    contour = pose.window(pose.project(found.contour), crop, size)
    ibug = surface[:, points.IBUG]
    silhouette = np.concatenate([contour, ibug[:, 17:]], 1)
    names = ('68', '106', '68c')
    prefix = kind or 'landmarks'
    out = {}
    for name, array in zip(names, (ibug, surface, silhouette), strict=True):
        array = array.copy()
        array[..., 2] -= array[..., 2].mean(-1, keepdims=True)
        out[f'{prefix}_{name}'] = array.astype(np.float32)
    return out


def _visible(surface, contour) -> dict:
    ibug = surface[:, points.IBUG]
    sets = {'68': ibug, '106': surface, '68c': np.concatenate([contour, ibug[:, 17:]], 1)}
    return {f'visible_{name}': array.astype(np.int64) for name, array in sets.items()}


def _images(head: Head, state: State, found: Marks, scene, back, crop, size: int):
    images, segmentations, surface, contour = [], [], [], []
    for t in range(len(state.aus)):
        frame = render(head, state.frame(t), scene, back, crop, size, t)
        images.append(simplejpeg.encode_jpeg(frame.image, QUALITY, colorsubsampling='444'))
        segmentations.append(_png(frame.segmentation))
        seen = visible(frame, found, t, crop)
        surface.append(seen[0])
        contour.append(seen[1])
    return tuple(images), tuple(segmentations), (np.stack(surface), np.stack(contour))


def _png(classes: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(classes).save(buffer, 'PNG')
    return buffer.getvalue()
