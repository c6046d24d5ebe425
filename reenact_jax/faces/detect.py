"""Faces in images by MediaPipe's Face Landmarker: points, pose, action units and gaze.

It needs the extra `[video]` and the model file `face_landmarker.task` (`find_model` looks for it).
What the blendshapes cannot tell is marked invalid, not zero: see `AU_BLENDSHAPES`.
"""

import contextlib
import dataclasses
import functools
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt8

from reenact_jax.common.errors import UserError
from reenact_jax.data.tracks import AU_NAMES
from reenact_jax.faces import mesh as facemesh
from reenact_jax.faces import runtime, windows
from reenact_jax.faces.model import find_model

# Action unit -> blendshapes, of which the largest is taken as its intensity 0..1: of two sides FACS
# scores the stronger one, so that a wink is a whole AU45. The names are ARKit's; the pairs follow
# the muscles that both descriptions name. docs/data.md compares them with OpenFace's.
# These are invalid: AU06 and AU09 (cheekSquint and noseSneer exist, but the model always gives 0);
# AU23 (mouthPress is AU24, mouthRoll AU28); AU10, AU14, AU15, AU17 and AU20, whose blendshapes
# hardly move or do not follow OpenFace's numbers. AU25 is measured on the lips.
AU_BLENDSHAPES = {
    'AU01': ('browInnerUp',),
    'AU02': ('browOuterUpLeft', 'browOuterUpRight'),
    'AU04': ('browDownLeft', 'browDownRight'),
    'AU05': ('eyeWideLeft', 'eyeWideRight'),
    'AU07': ('eyeSquintLeft', 'eyeSquintRight'),
    'AU12': ('mouthSmileLeft', 'mouthSmileRight'),
    'AU26': ('jawOpen',),
    'AU45': ('eyeBlinkLeft', 'eyeBlinkRight'),
}
# AU25: gap between the inner lips in units of the distance of the outer eye corners, less that of
# closed lips; slope fitted to OpenFace on the same clip (correlation .67).
_LIPS_CLOSED, _LIPS_SLOPE = 0.04, 1.5
# Gaze in radians for eyeLook blendshapes of 1: slope against the iris' place between the lid
# corners, with an eyeball radius of 0.4 lid widths, over six clips (correlation .95-1.0, .85-.99).
_GAZE_YAW, _GAZE_PITCH = 0.53, 0.35

# A detection score that is certainly human: of the development portraits and clips, photographs and
# paintings of people reach 0.86 or more, a monkey and two dogs 0.72 to 0.80.
_CERTAIN = 0.84
_SAME = 0.3  # overlap of two boxes from which they are of one face
_WHOLE, _WINDOW = 1280, 640  # longest side handed to the detector: whole image, a window of it


@dataclasses.dataclass(frozen=True)
class Detected:
    """A face in an image. Points in pixels of that image, z away from the camera, mean 0 a set."""

    mesh: Float[np.ndarray, '478 3'] | None  # None: the detector gives points alone (points.py)
    landmarks_68: Float[np.ndarray, '68 3']
    landmarks_106: Float[np.ndarray, '106 3']
    landmarks_68c: Float[np.ndarray, '68 3']
    aus: Float[np.ndarray, ' 20']  # tracks.py's vector: 17 intensities, then R_x R_y R_z
    aus_valid: Bool[np.ndarray, ' 20']
    gaze: Float[np.ndarray, ' 2']  # yaw, pitch relative to the head
    blendshapes: dict[str, float]  # as the model names them: Left and Right are the person's
    # Which points the camera sees, by set: found when asked for, as it takes a quarter of the time.
    look: Callable[[], Mapping[str, Bool[np.ndarray, ' n']]]
    sets: tuple[str, ...] = ('68', '106', '68c')  # the point sets that are known

    @property
    def box(self) -> Float[np.ndarray, ' 4']:
        """Return the bounding box x0, y0, x1, y1 of the mesh, or of the points."""
        return windows.box(self.landmarks(self.sets[0]) if self.mesh is None else self.mesh)

    @functools.cached_property
    def visible(self) -> Mapping[str, Bool[np.ndarray, ' n']]:
        """Which points the camera sees, by set."""
        return self.look()

    def landmarks(self, points: str) -> Float[np.ndarray, 'n 3']:
        """Return the landmarks of a point set.

        Raises:
          UserError: the detector does not give that set.
        """
        if points not in self.sets:
            raise UserError(
                f'the points are of the set {" or ".join(self.sets)}, and {points} is needed; take '
                'another detector, or a model of that set'
            )
        return getattr(self, f'landmarks_{points}')

    def moved(self, x0: float, y0: float, scale: float) -> 'Detected':
        """Move the face into a crop that starts at (x0, y0) and is resampled by `scale`."""
        shift = np.array([x0, y0, 0], np.float32)
        names = [f'landmarks_{name}' for name in self.sets]
        names += [] if self.mesh is None else ['mesh']
        return dataclasses.replace(
            self, **{name: (getattr(self, name) - shift) * np.float32(scale) for name in names}
        )


class Detector:
    """A detector of faces, used as a context manager.

    Frames are treated one by one by default, so that results do not depend on the frames before.
    `smooth=True` is for one face in one video in order: MediaPipe then follows the face and filters
    its points (half the jitter, and each frame's time is needed).
    """

    def __init__(
        self,
        model: str | Path | None = None,
        faces: int = 4,
        confidence: float = 0.5,
        smooth: bool = False,
    ):
        """Find the model file; it is opened with the first image.

        Args:
          model: the file; None: that of `find_model`.
          faces: most faces an image.
          confidence: detection threshold, 0..1.
          smooth: follow one face through one video.
        """
        self.model = find_model(model)
        self.name = f'mediapipe {runtime.mediapipe().__version__} face_landmarker v2'
        self.faces, self.confidence, self.smooth = 1 if smooth else faces, confidence, smooth
        self._open: dict[tuple, Any] = {}
        self._fresh = False
        self._finalise = weakref.finalize(self, runtime.close, self._open)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._finalise()

    def detect(
        self,
        image: UInt8[np.ndarray, 'h w 3'],
        near: Sequence[Float[np.ndarray, ' 4']] = (),
        seconds: float | None = None,
        thorough: bool = False,
        turn: int = 0,
    ) -> list[Detected]:
        """Find faces in an image, largest first.

        The whole image is searched first; then windows around those of the boxes `near` where
        nothing was found; and, if there is nothing yet and `thorough`, overlapping windows for
        small faces and a padded image for a face that fills it.

        Args:
          image: RGB.
          near: boxes x0, y0, x1, y1 of faces of the frame before.
          seconds: time of the frame, increasing; with `smooth` only.
          thorough: whether to go on searching.
          turn: quarter turns, counter-clockwise, that put the faces upright.
        """
        height, width = image.shape[:2]
        find = functools.partial(self._meshes, image, turn=turn)
        faces = find((0, 0, width, height), _WHOLE, seconds)
        boxes = [windows.box(mesh) for mesh, _ in faces]
        missed = [box for box in near if all(windows.overlap(box, b) < _SAME for b in boxes)]
        if missed:
            places = [windows.around(box, 2.0) for box in missed]
            faces += [m for w in places for m in find(w, _WINDOW)]
            faces = windows.distinct(faces)
        if not faces and thorough:
            places = windows.tiles(width, height)
            faces = windows.distinct(m for w in places for m in find(w, _WINDOW))
        if max(height, width) > _WHOLE and not self.smooth:
            # The first pass saw a smaller image: look again where the faces are.
            places = [windows.around(windows.box(mesh), 2.0) for mesh, _ in faces]
            again = [find(window, _WINDOW) for window in places]
            faces = [best[0] if best else old for best, old in zip(again, faces, strict=True)]
        face = facemesh.canonical(self.model)
        faces = windows.distinct(faces)
        return [_describe(mesh, shapes, face, (width, height)) for mesh, shapes in faces]

    def track(
        self, image: UInt8[np.ndarray, 'h w 3'], box: Float[np.ndarray, ' 4'], turn: int = 0
    ) -> Detected | None:
        """Find a face again where it was, as `detect` does with its last look at large images.

        It takes two fifths of the time of `detect`. In an image that is searched at once that would
        be nine tenths, and points would depend on the frames before: there it finds nothing.

        Args:
          image: RGB.
          box: x0, y0, x1, y1 of the face in the frame before.
          turn: as of `detect`.
        """
        height, width = image.shape[:2]
        if max(height, width) <= _WHOLE or self.smooth:
            return None
        found = self._meshes(image, windows.around(box, 2.0), _WINDOW, turn=turn)
        near = [face for face in found if windows.overlap(windows.box(face[0]), box) >= _SAME]
        if not near:
            return None
        mesh, shapes = near[0]
        return _describe(mesh, shapes, facemesh.canonical(self.model), (width, height))

    def _meshes(
        self, image, window, limit: int, seconds: float | None = None, turn: int = 0
    ) -> list:
        """Find (mesh in pixels of the image, blendshapes) of faces in a window x0, y0, x1, y1."""
        part, scale = windows.cut(image, window, limit)
        part = windows.turned(part, turn)
        mp = runtime.mediapipe()
        packet = mp.Image(mp.ImageFormat.SRGB, part)
        landmarker = self._landmarker(video=self.smooth and seconds is not None)
        with self._calm():
            if self.smooth and seconds is not None:
                result = landmarker.detect_for_video(packet, round(seconds * 1000))
            else:
                result = landmarker.detect(packet)
        meshes = []
        for points, shapes in zip(result.face_landmarks, result.face_blendshapes, strict=True):
            mesh = np.array([(p.x, p.y, p.z) for p in points], np.float32)
            sides = np.array([part.shape[1], part.shape[0], part.shape[1]], np.float32)
            mesh = windows.turned_back(mesh * sides, turn, part.shape[1::-1]) / np.float32(scale)
            mesh[:, :2] += np.array(window[:2], np.float32)
            meshes.append((mesh, {shape.category_name: shape.score for shape in shapes}))
        return sorted(meshes, key=lambda face: -windows.area(windows.box(face[0])))

    def is_certain(self, image: UInt8[np.ndarray, 'h w 3'], face: Detected) -> bool:
        """Tell whether a face found in this image is surely a human's, not an animal's."""
        mp = runtime.mediapipe()
        height, width = image.shape[:2]
        turn = quarter(face)
        for window, limit in (
            (windows.around(face.box, 2.0), _WINDOW),
            ((0, 0, width, height), _WHOLE),
        ):
            part, _ = windows.cut(image, window, limit)
            part = windows.turned(part, turn)
            landmarker = self._landmarker(_CERTAIN)
            with self._calm():
                result = landmarker.detect(mp.Image(mp.ImageFormat.SRGB, part))
            if result.face_landmarks:
                return True
        return False

    def _landmarker(self, confidence: float | None = None, video: bool = False):
        key = (confidence or self.confidence, video)
        if key not in self._open:
            from mediapipe.tasks.python import BaseOptions, vision

            options = vision.FaceLandmarkerOptions(
                base_options=BaseOptions(model_asset_path=str(self.model)),
                running_mode=vision.RunningMode.VIDEO if video else vision.RunningMode.IMAGE,
                num_faces=self.faces,
                min_face_detection_confidence=key[0],
                output_face_blendshapes=True,
            )
            with runtime.quiet():
                self._open[key] = vision.FaceLandmarker.create_from_options(options)
            self._fresh = True
        return self._open[key]

    def _calm(self):
        """Silence the first call after a landmarker was made; later ones print nothing.

        Silence is of the whole process: other threads' errors would be lost.
        """
        fresh, self._fresh = self._fresh, False
        return runtime.quiet() if fresh else contextlib.nullcontext()


def roll(face: Detected) -> float:
    """Return how far a head is turned in the image, clockwise, degrees."""
    return float(np.degrees(face.aus[-1]))


def quarter(face: Detected) -> int:
    """Return the quarter turns, counter-clockwise, that put a face upright."""
    return round(roll(face) / 90) % 4


def choose(faces: Sequence[Detected], which: str | int | None, where: str) -> Detected:
    """Choose the face that is meant, of those in a source.

    Args:
      faces: as `Detector.detect` gives them.
      which: None: there must be one; 'largest', 'left', 'right'; or the number from the left of
        the image, from 0.
      where: the file, for the message.

    Raises:
      UserError: there is none, there are several without a choice, or fewer than the number asks.
    """
    if not faces:
        raise UserError(
            f'{where}: no human face found; it should look towards the camera, upright, unobscured '
            'and at least 60 pixels wide'
        )
    ordered = sorted(faces, key=lambda face: face.box[0] + face.box[2])
    if which == 'largest':
        return max(faces, key=lambda face: windows.area(face.box))
    if which is None and len(faces) > 1:
        places = ', '.join(
            f'{i} at x = {face.box[[0, 2]].mean():.0f}' for i, face in enumerate(ordered)
        )
        raise UserError(
            f'{where}: {len(faces)} faces ({places}); say which: largest, left, right, its number'
        )
    ends = {'left': 0, 'right': len(ordered) - 1}
    number = ends[which] if isinstance(which, str) and which in ends else int(which or 0)
    if not 0 <= number < len(ordered):
        raise UserError(f'{where}: face {number} asked for, but {len(ordered)} found (from 0)')
    return ordered[number]


def action_units(
    blendshapes: dict[str, float], mesh: Float[np.ndarray, '478 3']
) -> tuple[Float[np.ndarray, ' 17'], Bool[np.ndarray, ' 17']]:
    """Estimate action units from blendshapes and the lips' gap.

    Returns:
      Intensities 0..1 in the order of `AU_NAMES`, and which of them are known (else 0).
    """
    values, valid = np.zeros(17, np.float32), np.zeros(17, bool)
    for name, shapes in AU_BLENDSHAPES.items():
        values[AU_NAMES.index(name)] = max(blendshapes[shape] for shape in shapes)
        valid[AU_NAMES.index(name)] = True
    gap = np.linalg.norm(mesh[13] - mesh[14]) / np.linalg.norm(mesh[33] - mesh[263])
    lips = AU_NAMES.index('AU25')
    values[lips], valid[lips] = _LIPS_SLOPE * (gap - _LIPS_CLOSED), True
    return np.clip(values, 0, 1), valid


def gaze(blendshapes: dict[str, float]) -> Float[np.ndarray, ' 2']:
    """Estimate yaw (to the image's right) and pitch (down) of the eyes in the head, radians."""
    b = blendshapes
    # The person's right eye is at the left of the image: looking inwards, it looks to the right.
    yaw = b['eyeLookInRight'] - b['eyeLookOutRight'] + b['eyeLookOutLeft'] - b['eyeLookInLeft']
    pitch = b['eyeLookDownLeft'] + b['eyeLookDownRight'] - b['eyeLookUpLeft'] - b['eyeLookUpRight']
    return np.array([_GAZE_YAW * yaw / 2, _GAZE_PITCH * pitch / 2], np.float32)


def _describe(mesh, blendshapes, face: facemesh.Canonical, size: tuple[int, int]) -> Detected:
    """Derive all that follows from a mesh and its blendshapes."""
    matrix = facemesh.rotation(mesh, face)
    points = {name: weights @ mesh for name, weights in facemesh.WEIGHTS.items()}
    points['68c'] = facemesh.contour(mesh, face, matrix)
    look = functools.partial(_seen, {n: p.copy() for n, p in points.items()}, mesh, face, size)
    for p in points.values():
        p[:, 2] -= p[:, 2].mean()
    intensities, valid = action_units(blendshapes, mesh)
    return Detected(
        mesh=mesh - np.array([0, 0, mesh[:, 2].mean()], np.float32),
        **{f'landmarks_{name}': p.astype(np.float32) for name, p in points.items()},
        aus=np.concatenate([intensities, facemesh.angles(matrix)]).astype(np.float32),
        aus_valid=np.concatenate([valid, np.ones(3, bool)]),
        gaze=gaze(blendshapes),
        blendshapes=blendshapes,
        look=look,
        sets=('68', '106', '68c'),
    )


def _seen(points: dict, mesh, face: facemesh.Canonical, size: tuple[int, int]) -> dict:
    """Tell which points the camera sees: inside the image, and not behind the face."""
    both = facemesh.visible(np.concatenate([points['68'], points['106']]), mesh, face)
    seen = {'68': both[:68], '106': both[68:]}
    seen['68c'] = np.concatenate([np.ones(17, bool), both[17:68]])  # a silhouette is seen
    inside = {name: ((p[:, :2] >= 0) & (p[:, :2] < size)).all(-1) for name, p in points.items()}
    return {name: seen[name] & inside[name] for name in points}
