"""The work behind the page: portraits, changed pictures, animations."""

import dataclasses
import itertools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from reenact_jax import pretrained
from reenact_jax.app import camera
from reenact_jax.bundle import LANDMARKS, Bundle
from reenact_jax.common.errors import UserError
from reenact_jax.data.tracks import AU_NAMES
from reenact_jax.faces import Detector
from reenact_jax.media import reading
from reenact_jax.reenact import drivers, flags, motion, portraits, recording
from reenact_jax.reenact.animation import Animation, fitting
from reenact_jax.reenact.edits import landmark_edits, unit_edits
from reenact_jax.reenact.edits.unit_edits import ANGLES, Change
from reenact_jax.reenact.live import Live
from reenact_jax.reenact.options import Options
from reenact_jax.reenact.output import NO_SOUND, Output
from reenact_jax.reenact.pipeline import Ahead, Pipeline
from reenact_jax.reenact.portraits import Portrait

ONLY = 'the only one'
# Which face of a portrait, as the command's --face; the page has no more than four.
FACES = {ONLY: None, 'the largest': 'largest'} | {f'number {n} from the left': n for n in range(4)}
DRIVING_FACES = {name: which for name, which in FACES.items() if which is not None}
KEPT = 32  # results of one kind that stay on disk; the page has copied the older ones
ANGLE = 40  # largest angle, degrees either way: what models have seen
_LEAST = 0.005  # a slider moved by less has not been moved


class Studio(NamedTuple):
    """A model and what it needs; one call at a time, since there is one detector."""

    model: Bundle
    detector: Detector
    folder: Path  # for results
    counter: itertools.count
    watcher: Detector | None = None  # another one, for the camera, which does not wait

    def place(self, suffix: str) -> str:
        """Name a file for the next result."""
        return str(self.folder / f'result-{next(self.counter) % KEPT}{suffix}')


class Film(NamedTuple):
    """How a driver is followed and what its video is: the page's controls of both."""

    driving_face: str = 'the largest'  # a key of `DRIVING_FACES`
    rate: str | None = None  # frames a second, as the command's --rate; None or empty: the driver's
    sound: str | None = None  # another file's; None: the driver's
    silent: bool = False
    side_by_side: bool = False  # source and driver beside the result

    def output(self, path: str) -> Output:
        """Say what is written.

        Raises:
          UserError: the rate is none, or the file has no sound.
        """
        sound = NO_SOUND if self.silent else self.sound
        rate = flags.rate(self.rate.strip()) if self.rate and self.rate.strip() else None
        output = Output(path, side_by_side=self.side_by_side, rate=rate, sound=sound)
        output.check()
        return output


def names(model: Bundle) -> list[str]:
    """Name the sliders that the model has: action units, angles, edits of landmarks."""
    if model.motion != LANDMARKS:
        return []
    units = AU_NAMES if 'aus' in model.by_units().driven_by else ()
    return [*units, *ANGLES, *landmark_edits.EDITS]


def limits(name: str) -> tuple[float, float, float]:
    """Return the lowest and highest value of a slider, and its step."""
    if name in ANGLES:
        return -ANGLE, ANGLE, 1
    return (0, 1, 0.01) if name in AU_NAMES else (-1, 1, 0.05)


def own(model: Bundle, source: Portrait | None) -> list[float]:
    """Return where the sliders of `names` stand at first: units and angles are the face's own."""
    values = dict.fromkeys(names(model), 0.0)
    if source is not None:
        known = np.where(source.known['aus_valid'] > 0, np.float64(source.known['aus']), 0)
        angles = np.rad2deg(known[len(AU_NAMES) :])
        there = dict(zip(AU_NAMES, known.round(2), strict=False))
        there |= dict(zip(ANGLES, angles.round(), strict=True))
        for name in values.keys() & there.keys():
            values[name] = float(np.clip(there[name], *limits(name)[:2]))
    return list(values.values())


def portrait(studio: Studio, path: str, face: str, where: str = 'the portrait') -> Portrait:
    """Find the face in a picture.

    Args:
      studio: the model and its detector.
      path: file of the picture.
      face: which face, a key of `FACES`.
      where: what errors call the picture.

    Raises:
      UserError: the file is no picture, or the face is not in it.
    """
    spec = studio.model.size, studio.model.points, studio.detector
    return portraits.from_picture(reading.read_still(path), *spec, FACES[face], where)


def options_of(model: Bundle, source: Portrait, values: Mapping[str, float]) -> Options:
    """Turn moved sliders into options.

    Args:
      model: the model.
      source: the portrait.
      values: value of every slider of `names`, in their order; None: left empty.
    """
    moved = {
        name: float(np.clip(value, *limits(name)[:2]))
        for (name, value), before in zip(values.items(), own(model, source), strict=True)
        if value is not None and abs(value - before) > _LEAST
    }
    units = [Change(AU_NAMES.index(n), moved[n], False) for n in AU_NAMES if n in moved]
    for name in [angle for angle in ANGLES if angle in moved]:
        index = unit_edits.NAMES.index(ANGLES[name])
        units.append(Change(index, float(np.deg2rad(moved[name])), False))
    edits = {name: moved[name] for name in moved if name in landmark_edits.EDITS}
    return Options(units=units, edits=edits, batch=1)


def still(
    studio: Studio,
    source: Portrait,
    values: Mapping[str, float],
    background: str | None = None,
    whole: bool = True,
) -> str:
    """Draw the portrait with sliders moved; return the file of the picture."""
    options = options_of(studio.model, source, values)
    options = _framed(options, studio.model, background, whole)
    animation = Animation(fitting(studio.model, options.units), source, options)
    out = studio.place('.png')
    recording.record_lead(animation, None, 1, Output(out))
    return out


def live(studio: Studio, source: Portrait, whole: bool = True) -> Live:
    """Let a camera move the portrait."""
    options = Options(crop=not whole, max_side=camera.SIDE)
    return Live(Animation(studio.model, source, options), studio.watcher or studio.detector)


def _framed(options: Options, model: Bundle, background: str | None, whole: bool) -> Options:
    """Set the background, and whether the whole picture is shown."""
    scene = None if background is None else portraits.scene(background, model.size)
    return dataclasses.replace(options, background=scene, crop=not whole)


def clip(
    studio: Studio,
    source: Portrait,
    driving: str,
    film: Film = Film(),
    *,
    transfer: str | None = None,
    background: str | None = None,
    whole: bool = True,
    others: Sequence[str] = (),
    **options,
) -> tuple[str, str]:
    """Animate the portrait with the motion of a video, a still or a file of motion.

    Args:
      studio: the model and its detector.
      source: the portrait.
      driving: file of the driver.
      film: how it is followed, and what the video is.
      transfer: as `Bundle.using` takes it.
      background: file of another background.
      whole: show the whole picture instead of the square crop alone.
      others: files of more pictures of the same person; in each the largest face.
      **options: fields of `Options`; what is of relative motion has no effect on an
        absolute one, and `smooth` none on points that are stored.

    Returns:
      The file of the video, and a text on it.
    """
    model, output = studio.model.using(transfer), film.output(studio.place('.mp4'))
    if options.get('smooth'):  # as the command: not those that are stored
        options['smooth'] = None
    if options.get('motion') == 'absolute':
        of_relative = 'strength', 'regions', 'adapt_scale'
        options = {n: value for n, value in options.items() if n not in of_relative}
    more = [portrait(studio, path, 'the largest', Path(path).name) for path in others]
    framed = _framed(Options(**options), model, background, whole)
    animation = Animation(model, source, framed, more)
    with Pipeline() as line:
        driver = _driver(studio, model, source, driving, film, line.ahead)
        summary = recording.record(animation, driver, output, line.ahead)
    return output.path, _note(summary, float(output.rate or driver.rate))


def _driver(
    studio: Studio, model: Bundle, source: Portrait, driving: str, film: Film, ahead: Ahead
):
    """Open a driver."""
    spec, every = (model.size, model.points), sys.maxsize if film.side_by_side else 0
    if Path(driving).suffix.lower() in motion.SUFFIXES:
        return drivers.from_motion(driving, source, *spec, model.driven_by, every)
    return drivers.from_file(
        driving, *spec, studio.detector, every, recording.BESIDE,
        which=DRIVING_FACES[film.driving_face], seen=model.sees, ahead=ahead,
    )  # fmt: skip


def _note(summary: Mapping, rate: float) -> str:
    """Say what became of a driver."""
    note = [f'{summary["frames"]} frames at {rate:.4g} a second, marked as synthetic.']
    if summary['held']:
        note.append(f'No face in {summary["held"]} of them: the motion before was held.')
    if summary.get('certain') is False:
        note.append('What was found in the driver is hardly a human face.')
    if summary.get('cuts'):
        note.append(f'The driver cuts {len(summary["cuts"])} times: motion starts anew there.')
    if summary.get('switches'):
        note.append('After a cut somebody else is followed.')
    if summary['start']:
        note.append(f'Motion starts at the first frame, and {summary["start"]}: try the best one.')
    if summary['fault']:
        note.append(f'The driver is broken: {summary["fault"]}.')
    return ' '.join(note)


def examples() -> tuple[list[str], str]:
    """Return portraits and a driver of synthetic people, who come with the program.

    Raises:
      UserError: the files are missing.
    """
    files = [str(file) for file in pretrained.people()]
    if not files:
        raise UserError('reenact_jax/pretrained: no people; install the package again')
    return files, str(pretrained.film())
