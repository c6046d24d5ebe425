"""The record made of a stretch of a face's track: crop, frames, labels, reference."""

import io
from collections.abc import Callable, Sequence

import numpy as np
import simplejpeg
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageDraw

from reenact_jax.data import tracks
from reenact_jax.data.tracks import Track
from reenact_jax.faces import AnyDetector, Detected, resting
from reenact_jax.faces import mesh as facemesh
from reenact_jax.faces.tracking import Sighting
from reenact_jax.geometry import crops, frames, landmarks, layouts

SETS = ('68', '106', '68c')
# Around the face's silhouette everything is unknown (hair, ears and neck are not detected), up to
# this many half widths of the face from its middle; the rest of the crop counts as background.
_HEAD_WIDTH = 1.8


def canonical(detector: AnyDetector) -> facemesh.Canonical | None:
    """Return the canonical face of a detector's model; None where it gives points alone."""
    return None if detector.model is None else facemesh.canonical(detector.model)


def window(sightings: Sequence[Sighting]) -> tuple[float, float, float]:
    """Choose the fixed crop of a record: (x0, y0, side) in pixels of its source."""
    points = np.stack([s.face.landmarks(s.face.sets[0])[:, :2] for s in sightings])
    return landmarks.crop_box(points)


def picture(
    image: UInt8[np.ndarray, 'h w 3'], crop: tuple[float, float, float], size: int, quality: int
) -> bytes:
    """Cut a frame out as JPEG, antialiased; outside the image its border is repeated.

    Args:
      image: the frame.
      crop: (x0, y0, side) in pixels of the frame.
      size: side of the result, pixels.
      quality: of the JPEG, 1 to 100.
    """
    return simplejpeg.encode_jpeg(
        np.ascontiguousarray(crops.crop(image, crop, size)),
        quality=quality,
        colorspace='RGB',
        colorsubsampling='444',
    )


def build(
    sightings: Sequence[Sighting],
    pictures: list[bytes],
    crop: tuple[float, float, float],
    size: int,
    source: tuple[int, int],
    face: facemesh.Canonical | None,
    still: int | None = None,
    segmenter: Callable | None = None,
    **provenance,
) -> Track:
    """Make the record of T sightings.

    Args:
      sightings: of one face.
      pictures: T JPEGs of `picture`.
      crop: of `window`.
      size: side of the stored crop, pixels.
      source: width and height of the source's frames, pixels.
      face: the canonical face of the detector's model; None: it gives points alone.
      still: the frame whose face is neutral; None: that of `neutral`.
      segmenter: of faces/segment.py; None: only what the mesh covers is known.
      **provenance: the fields of `Track` that this function does not make, and `rate` (frames/s).
    """
    x0, y0, side = crop
    width, height = source
    inside = np.array([-x0, -y0, width - x0, height - y0]) * (size / side)
    faces = [s.face.moved(x0, y0, size / side) for s in sightings]
    count = len(faces)
    still = neutral([s.face for s in sightings]) if still is None else still
    rate = provenance.pop('rate')
    return Track(
        size=size,
        image=tuple(pictures),
        segmentation=tuple(
            segmented(jpeg, segmenter, inside) if segmenter else _unsegmented(f, face, size, inside)
            for jpeg, f in zip(pictures, faces, strict=True)
        ),
        **{f'landmarks_{n}': np.stack([getattr(f, f'landmarks_{n}') for f in faces]) for n in SETS},
        **{f'visible_{n}': np.stack([f.visible[n] for f in faces]).astype(np.int64) for n in SETS},
        **_references(faces, still, face),
        aus=resting.above(
            *(np.stack([getattr(f, n) for f in faces]) for n in ('aus', 'aus_valid'))
        ),
        aus_valid=np.stack([f.aus_valid for f in faces]).astype(np.int64),
        gaze=np.stack([f.gaze for f in faces]),
        gaze_valid=np.full(count, face is not None, np.int64),
        expression=np.full(count, tracks.UNLABELLED),
        pose_id=np.full(count, tracks.UNLABELLED),
        frame_number=np.array([s.frame for s in sightings]),
        crop=np.float32([x0, y0, side, rate]),
        seconds=np.float32([s.time for s in sightings]) if rate else None,
        **provenance,
    )


def _unsegmented(face: Detected, model: facemesh.Canonical | None, size: int, inside) -> bytes:
    if face.mesh is None or model is None:
        return outlined(face.landmarks(face.sets[0]), size, inside)
    return segmentation(face.mesh, model, size, inside)


def _references(faces: list[Detected], still: int, model: facemesh.Canonical | None) -> dict:
    meshes = [face.mesh for face in faces if face.mesh is not None]
    if model is not None and len(meshes) == len(faces):
        return references(meshes, still, model)
    points = {
        f'reference_{n}': np.stack([getattr(f, f'landmarks_{n}') for f in faces]) for n in SETS
    }
    known = [f'reference_{name}' for name in faces[0].sets]
    return points | {name: moved_still(points[name], still) for name in known}


def neutral(faces: list) -> int:
    """Find the frame with the least expression: the smallest sum of its known action units."""
    return int(np.argmin([(f.aus[:17] * f.aus_valid[:17]).sum() for f in faces]))


def references(
    meshes: list[Float[np.ndarray, '478 3']], neutral: int, face: facemesh.Canonical
) -> dict[str, Float[np.ndarray, 't n 3']]:
    """Move the neutral frame's face to every frame's pose.

    The mesh is moved by the similarity in space (scale, rotation, shift) that fits the vertices
    which expressions do not move; so it follows turns of the head as well.

    Args:
      meshes: one of each frame.
      neutral: number of the neutral frame.
      face: the canonical face of the detector's model.

    Returns:
      The fields reference_* of `Track`.
    """
    still = meshes[neutral]
    result = {f'reference_{name}': [] for name in SETS}
    for mesh in meshes:
        scale, turn, shift = facemesh.similarity(still[:468], mesh[:468], face.rigid)
        moved = scale * still @ turn.T + shift
        points = {name: weights @ moved for name, weights in facemesh.WEIGHTS.items()}
        points['68c'] = facemesh.contour(moved, face, facemesh.rotation(moved, face))
        for name, p in points.items():
            p[:, 2] -= p[:, 2].mean()
            result[f'reference_{name}'].append(p)
    return {name: np.float32(values) for name, values in result.items()}


def moved_still(points: Float[np.ndarray, 't n 3'], still: int) -> Float[np.ndarray, 't n 3']:
    """Move a frame's points to every frame's pose, fitted on eyes and nose.

    Args:
      points: of all frames.
      still: number of the frame whose face is neutral.
    """
    at = frames.rigid(layouts.of_count(points.shape[1]))
    weights = np.zeros(points.shape[1])
    weights[at] = 1 / len(at)
    fits = [facemesh.similarity(points[still], face, weights) for face in points]
    return np.float32([scale * points[still] @ turn.T + shift for scale, turn, shift in fits])


def segmented(picture: bytes, segmenter: Callable, inside: Float[np.ndarray, ' 4']) -> bytes:
    """Segment a stored crop with a network.

    Args:
      picture: the crop as JPEG.
      segmenter: of faces/segment.py.
      inside: x0, y0, x1, y1 of the source's image in the crop; outside it classes are unknown.

    Returns:
      Classes as PNG.
    """
    plane = segmenter(simplejpeg.decode_jpeg(picture)).copy()
    x0, y0, x1, y1 = np.clip(np.round(inside), 0, len(plane)).astype(int)
    seen = np.zeros(plane.shape, bool)
    seen[y0:y1, x0:x1] = True
    return _png(np.where(seen, plane, np.uint8(tracks.UNKNOWN)))


def segmentation(
    mesh: Float[np.ndarray, '478 3'],
    face: facemesh.Canonical,
    size: int,
    inside: Float[np.ndarray, ' 4'],
) -> bytes:
    """Segment a stored crop without a network: face where the mesh is, else see `classes`.

    Args:
      mesh: of the face, in pixels of the crop.
      face: the canonical face of the detector's model.
      size: side of the crop, pixels.
      inside: x0, y0, x1, y1 of the source's image in the crop.

    Returns:
      Classes as PNG.
    """
    ends = mesh[:, 0].min(), mesh[:, 0].max()
    return classes(facemesh.silhouette(mesh, face, (size, size)) == 1, ends, inside)


def outlined(points: Float[np.ndarray, 'n 3'], size: int, inside) -> bytes:
    """Draw the classes of a crop as PNG where points alone are known: jaw and brows enclose it.

    Args:
      points: of the face, in pixels of the crop.
      size: side of the stored crop, pixels.
      inside: as of `classes`.
    """
    parts = layouts.of_count(len(points)).parts
    brows = [*parts['left_brow'][:5], *parts['right_brow'][:5]]  # of 106 points the upper edges
    plane = Image.new('1', (size, size))
    hull = [tuple(map(float, points[i, :2])) for i in (*parts['jaw'], *reversed(brows))]
    ImageDraw.Draw(plane).polygon(hull, fill=1)
    return classes(np.asarray(plane), (points[:, 0].min(), points[:, 0].max()), inside)


def classes(
    covered: Bool[np.ndarray, 'size size'],
    ends: tuple[float, float],
    inside: Float[np.ndarray, ' 4'],
) -> bytes:
    """Draw the classes of a crop when only the pixels that the face covers are known.

    Two parts are unknown: the column of the crop around the face, from top to bottom, 1.8 times as
    wide as the face; and everything outside the source's image, where the border is repeated. The
    rest is background.

    Args:
      covered: the pixels of the face.
      ends: smallest and largest x of the face.
      inside: x0, y0, x1, y1 of the source's image in the crop.

    Returns:
      Classes as PNG.
    """
    size = len(covered)
    plane = np.full((size, size), tracks.UNKNOWN, np.uint8)
    x0, y0, x1, y1 = np.clip(np.round(inside), 0, size).astype(int)
    low, high = ends
    middle, half = (low + high) / 2, (high - low) / 2 * _HEAD_WIDTH
    left, right = (int(np.clip(x, x0, x1)) for x in (middle - half, np.ceil(middle + half)))
    plane[y0:y1, x0:left] = plane[y0:y1, right:x1] = tracks.BACKGROUND
    plane[covered] = tracks.FACE
    return _png(plane)


def _png(plane: UInt8[np.ndarray, 'h w']) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(plane).save(buffer, 'PNG')
    return buffer.getvalue()
