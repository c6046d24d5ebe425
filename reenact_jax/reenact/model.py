"""Animation from Python: a loaded model, and the clips that it makes.

>>> import reenact_jax
>>> model = reenact_jax.load('out/bundle')
>>> model.animate('portrait.jpg', 'clip.mp4').save('result.mp4')
"""

import dataclasses
import os
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from reenact_jax import bundle as bundles
from reenact_jax import pretrained
from reenact_jax.bundle import Bundle
from reenact_jax.common.errors import UserError
from reenact_jax.faces import Detector
from reenact_jax.media.sound import Track
from reenact_jax.reenact import drivers, motion, portraits
from reenact_jax.reenact import driving as drives
from reenact_jax.reenact.animation import Animation, fitting
from reenact_jax.reenact.drivers import Driver
from reenact_jax.reenact.options import DEFAULTS, Options
from reenact_jax.reenact.output import Output
from reenact_jax.reenact.pipeline import Ahead, Pipeline
from reenact_jax.reenact.portraits import Portrait

RATE = 25  # frames a second of pictures in memory
Picture = str | os.PathLike | UInt8[np.ndarray, 'h w 3']  # a file, or RGB in memory


@dataclasses.dataclass(frozen=True, repr=False)
class Clip:
    """An animation in memory.

    Attributes:
      frames: RGB.
      landmarks: as they were rendered (or keypoints), pixels of the source's crop.
      held: numbers of frames in which the driver's face was not found; they keep the motion before.
      rate: frames a second, exact; the mean where they are not even.
      sound: the driver's sound; None: it has none.
      times: begin and end of the frames, seconds; None: at the rate, from nought.

    Examples:
      >>> clip = model.animate('portrait.jpg', 'clip.mp4')
      >>> clip
      Clip(3 frames of 256 x 256, 10 a second)
      >>> clip.frames.shape, clip.landmarks.shape  # uint8, RGB; pixels of the source's crop
      ((3, 256, 256, 3), (3, 68, 2))
      >>> clip.save('result.mp4')
    """

    frames: UInt8[np.ndarray, 't h w 3']
    landmarks: Float[np.ndarray, 't n 2']
    held: tuple[int, ...]
    rate: Fraction
    sound: Track | None = None
    times: tuple[tuple[float, float], ...] | None = None

    def __len__(self) -> int:
        return len(self.frames)

    def __repr__(self) -> str:
        height, width = self.frames.shape[1:3]
        return f'Clip({len(self)} frames of {width} x {height}, {float(self.rate):g} a second)'

    def save(self, path: str | os.PathLike, *, mark: bool = True, signed: bool = True) -> None:
        """Write the clip to a file that is marked as synthetic.

        Args:
          path: .mp4, .mov or .webm; .webp or .gif for a short loop; .png or .jpg for a single
            frame.
          mark: whether the pixels carry the invisible mark.
          signed: whether content credentials are added, where c2pa-python is installed.

        Raises:
          UserError: the suffix is another one, or it names a still and there are several frames.

        Examples:
          >>> clip.save('result.webp')  # a short loop
          >>> clip.save('plain.mp4', mark=False)  # without the mark in the pixels
        """
        output = Output(os.fspath(path), mark=mark, signed=signed)
        if not output.is_video and len(self) != 1:
            raise UserError(f'{output.path}: a clip of {len(self)} frames; name it .mp4 or .webp')
        variable = self.times is not None
        rate = float(self.rate)
        times = self.times or [(n / rate, (n + 1) / rate) for n in range(len(self))]
        shown = ((frame, *span) for frame, span in zip(self.frames, times, strict=True))
        output.save(shown, self.rate, len(self), self.sound, variable)


class Model:
    """A loaded bundle with a face detector; `load` makes it.

    Examples:
      >>> model
      Model(aan with landmarks by ldnet, 32 x 32 pixels, ...; licence Apache-2.0)
    """

    def __init__(self, bundle: Bundle, face_landmarker: str | None = None, *, named: bool = False):
        """Take a loaded bundle.

        Args:
          bundle: what `reenact_jax.bundle.load` returned.
          face_landmarker: the face detector's model file; None: the one that is found.
          named: whether the bundle's transfer was chosen by name; else action units choose one.
        """
        self._named = named
        self.bundle, self._file, self._found = bundle, face_landmarker, None

    def __repr__(self) -> str:
        card = self.bundle.card
        generator = card['generator']['system']
        pixels = "drawn at the picture's own pixels" if self.bundle.has_layers else 'as they are'
        return (
            f'Model({generator} with landmarks by {self.bundle.transfer_name}, '
            f'{self.bundle.size} x {self.bundle.size} pixels, {pixels}; '
            f'driven by {", ".join(self.bundle.driven_by)}; licence {card["licence"]})'
        )

    def portrait(self, source: Picture, face: str | int | None = None) -> Portrait:
        """Find the face that is to be animated: once, for many animations.

        Args:
          source: a file, or a picture [h, w, 3] of uint8, RGB.
          face: which of several faces: 'largest' or its number from the left.

        Raises:
          UserError: there is no such file, no face, or several faces and no choice among them.

        Examples:
          >>> person = model.portrait('portrait.jpg')
          >>> model.animate(person, 'clip.mp4')
          Clip(3 frames of 256 x 256, 10 a second)
        """
        spec = self.bundle.size, self.bundle.points, self._detector(), face
        if isinstance(source, np.ndarray):
            return portraits.from_picture(_pictures(source, 3), *spec)
        return portraits.from_file(os.fspath(source), *spec)

    def animate(
        self,
        source: Picture | Portrait | Sequence[Picture | Portrait],
        driving: str | os.PathLike | UInt8[np.ndarray, 't h w 3'],
        *,
        face: str | int | None = None,
        driving_face: str | int | None = None,
        rate: float | Fraction = RATE,
        options: Options = DEFAULTS,
        **changed: Any,
    ) -> Clip:
        """Animate a portrait with the motion of another face.

        Args:
          source: a file, a picture [h, w, 3] of uint8, or what `portrait` returned; or several of
            these, of one person: each frame is drawn from the one whose pose fits (several.py).
          driving: a video, a still, a folder of stills, or pictures [t, h, w, 3] of uint8; a file
            of motion (motion.py); 'talk', 'smile' or 'look_around', motions in the package.
          face: which of several faces in the source: 'largest', 'left', 'right' or its number from
            the left.
          driving_face: which of several faces in the first driving frame that has any; None: the
            largest.
          rate: frames a second of driving pictures in memory or in a folder.
          options: what is asked of the animation.
          **changed: fields of `Options` by name instead, such as reference='best', strength=1.5,
            regions=('mouth',), edits={'smile': 0.5}, max_side=512.

        Raises:
          UserError: a file cannot be read or has no face, or an option has an invalid value.

        Examples:
          >>> half = model.animate('portrait.jpg', 'clip.mp4', strength=0.5, regions=['mouth'])
          >>> best = model.animate('portrait.jpg', 'clip.mp4', reference='best', max_side=128)
          >>> best.frames.shape
          (3, 128, 128, 3)
          >>> picture, pictures = half.frames[0], half.frames  # arrays instead of files
          >>> model.animate(picture, pictures, edits={'smile': 0.5}, rate=30)
          Clip(3 frames of 256 x 256, 30 a second)
        """
        options = dataclasses.replace(options, **changed)
        portrait, *others = self._portraits(source, face)
        bundle = self.bundle if self._named else fitting(self.bundle, options.units)
        with Pipeline() as line:
            driver = self._driver(driving, bundle, portrait, rate, driving_face, line.ahead)
            read = drives.read(driver, portrait, options)
            animation = Animation(bundle, portrait, options, others)
            results = list(animation.frames(read.faces, read.start, read.shots, line.ahead))
        frames, landmarks = (
            np.stack([getattr(one, n) for one in results]) for n in ('image', 'landmarks')
        )
        held = tuple(number for number, one in enumerate(results) if one.held)
        times = tuple(read.times) if driver.times.rate is None else None
        return Clip(frames, landmarks, held, driver.rate, driver.sound, times)

    def _portraits(self, source, face) -> list[Portrait]:
        given = source if isinstance(source, list | tuple) else [source]
        if isinstance(source, Portrait):  # a tuple itself
            given = [source]
        if not given:
            raise UserError('sources: none; give a picture')
        return [one if isinstance(one, Portrait) else self.portrait(one, face) for one in given]

    def _driver(
        self, driving, bundle: Bundle, source: Portrait, rate, which, ahead: Ahead
    ) -> Driver:
        spec = self.bundle.size, self.bundle.points, self._detector()
        exact_rate = Fraction(rate).limit_denominator(1001)
        more: dict[str, Any] = dict(which=which, seen=self.bundle.sees, ahead=ahead)
        if isinstance(driving, np.ndarray):
            pictures = _pictures(driving, 4)
            return drivers.from_pictures(pictures, exact_rate, *spec, **more)
        path = os.fspath(pretrained.motion(os.fspath(driving)) or driving)
        if path.lower().endswith(motion.SUFFIXES):
            return drivers.from_motion(path, source, *spec[:2], bundle.driven_by)
        return drivers.from_file(path, *spec, rate=exact_rate, **more)

    def _detector(self) -> Detector:
        if self._found is None:
            self._found = Detector(self._file)
        return self._found


def load(
    bundle: str | os.PathLike = pretrained.MODELS[0],
    transfer: str | None = None,
    face_landmarker: str | None = None,
) -> Model:
    """Load a bundle, which `reenact-jax export` made.

    Args:
      bundle: its folder; default: 'portrait', which comes with the package.
      transfer: a landmark transfer of the bundle by name, or 'none'; None: its first, for changes
        of action units the one that they drive.
      face_landmarker: the face detector's model file; None: the one that is found.

    Raises:
      UserError: there is no bundle, it is damaged, or it was made for other devices.

    Examples:
      >>> model = reenact_jax.load('out/bundle')
      >>> reenact_jax.load('out/bundle', transfer='none')  # the driver's landmarks as they are
      Model(aan with landmarks by none, ...)
    """
    return Model(bundles.load(bundle, transfer), face_landmarker, named=transfer is not None)


def _pictures(values: np.ndarray, axes: int) -> UInt8[np.ndarray, '*s h w 3']:
    """Return pictures, refusing those of another type or shape."""
    if values.dtype != np.uint8 or values.ndim != axes or values.shape[-1] != 3:
        shape = '[h, w, 3]' if axes == 3 else '[t, h, w, 3]'
        raise UserError(
            f'pictures of {values.dtype} {list(values.shape)}: expected uint8 {shape}, RGB'
        )
    return values
