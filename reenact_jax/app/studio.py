"""What the page does, without the page: portraits, changed pictures, animations."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reenact_jax.bundle import Bundle
from reenact_jax.common.errors import UserError
from reenact_jax.data.tracks import AU_NAMES
from reenact_jax.faces import Detector
from reenact_jax.media import reading
from reenact_jax.reenact import drivers, motion, portraits, recording
from reenact_jax.reenact.animation import Changes
from reenact_jax.reenact.edits import landmark_edits, unit_edits
from reenact_jax.reenact.edits.unit_edits import ANGLES, Change
from reenact_jax.reenact.portraits import Portrait
from reenact_jax.reenact.regions import ALL, Amount, check

ONLY = 'the only one'
# Which face of a portrait, as the command's --face; the page has no more than four.
FACES = {ONLY: None, 'the largest': 'largest'} | {f'number {n} from the left': n for n in range(4)}
KEPT = 32  # results of a kind on disk; the page has copied the older ones
ANGLE = 40  # degrees either way, what models have seen
_LEAST = 0.005  # a slider moved by less has not been moved


class Studio(NamedTuple):
    """A model and what it needs. One call at a time: the detector is one."""

    model: Bundle
    detector: Detector
    folder: Path  # for results
    counter: itertools.count

    def place(self, suffix: str) -> str:
        """A file for the next result."""
        return str(self.folder / f'result-{next(self.counter) % KEPT}{suffix}')


def names(model: Bundle) -> list[str]:
    """The sliders that the model has: action units, angles, edits of landmarks."""
    units = AU_NAMES if 'aus' in model.driven_by else ()
    return [*units, *ANGLES, *landmark_edits.EDITS]


def limits(name: str) -> tuple[float, float, float]:
    """Lowest and highest value of a slider, and its step."""
    if name in ANGLES:
        return -ANGLE, ANGLE, 1
    return (0, 1, 0.01) if name in AU_NAMES else (-1, 1, 0.05)


def own(model: Bundle, source: Portrait | None) -> list[float]:
    """Where the sliders of `names` stand for a portrait as it is: units and angles are its own."""
    values = dict.fromkeys(names(model), 0.0)
    if source is not None:
        known = np.where(source.known['aus_valid'] > 0, np.float64(source.known['aus']), 0)
        angles = np.rad2deg(known[len(AU_NAMES) :])
        there = dict(zip(AU_NAMES, known.round(2), strict=False))
        there |= dict(zip(ANGLES, angles.round(), strict=True))
        for name in values.keys() & there.keys():
            values[name] = float(np.clip(there[name], *limits(name)[:2]))
    return list(values.values())


def portrait(studio: Studio, path: str, face: str) -> Portrait:
    """The face in a picture. face: of `FACES`. Raises UserError for what is none."""
    like = studio.model.size, studio.model.points, studio.detector
    return portraits.from_picture(reading.read_still(path), *like, FACES[face], 'the portrait')


def changes(
    model: Bundle, source: Portrait, values: Mapping[str, float], background: str | None
) -> Changes:
    """What sliders that were moved ask for. values: by name, see `names`; None: left empty."""
    moved = {
        name: float(np.clip(value, *limits(name)[:2]))
        for (name, value), before in zip(values.items(), own(model, source), strict=True)
        if value is not None and abs(value - before) > _LEAST
    }
    units = [Change(AU_NAMES.index(n), moved[n], False) for n in AU_NAMES if n in moved]
    for name in [one for one in ANGLES if one in moved]:
        index = unit_edits.NAMES.index(ANGLES[name])
        units.append(Change(index, float(np.deg2rad(moved[name])), False))
    strengths = {name: moved[name] for name in moved if name in landmark_edits.EDITS}
    scene = None if background is None else portraits.scene(background, model.size)
    return Changes(units, strengths, scene)


def still(
    studio: Studio,
    source: Portrait,
    values: Mapping[str, float],
    background: str | None = None,
    whole: bool = True,
) -> str:
    """A picture of the portrait with sliders moved: its file."""
    change, out = changes(studio.model, source, values, background), studio.place('.png')
    recording.record_lead(
        studio.model, source, None, out, 1, batch=1, changes=change, crop=not whole
    )
    return out


def clip(
    studio: Studio,
    source: Portrait,
    driving: str,
    *,
    transfer: str | None = None,
    background: str | None = None,
    whole: bool = True,
    how: str = 'relative',
    reference: str = 'first',
    smooth: bool = False,
    strength: float = 1.0,
    regions: Sequence[str] = (ALL,),
) -> tuple[str, str]:
    """The portrait with the motion of a video, a still or a file of motion: file, and what to say.

    The settings are those of `recording.record`; transfer: as `Bundle.using` takes it; strength,
    regions: of relative motion, without effect on an absolute one.
    """
    model = studio.model.using(transfer)
    like = model.size, model.points
    if Path(driving).suffix.lower() in motion.SUFFIXES:
        driver = drivers.from_motion(driving, source, *like, model.driven_by)
    else:
        driver = drivers.from_file(driving, *like, studio.detector)
    scene = None if background is None else portraits.scene(background, model.size)
    settings: dict[str, Any] = dict(how=how, reference=reference, smooth=smooth, crop=not whole)
    settings |= dict(changes=Changes(background=scene))
    if how == 'relative':
        settings |= dict(amount=check(Amount(strength, tuple(regions))))
    out = studio.place('.mp4')
    made = recording.record(model, source, driver, out, **settings)
    said = [f'{made["frames"]} frames at {float(driver.rate):.4g} a second, marked as synthetic.']
    if made['held']:
        said.append(f'No face in {made["held"]} of them: the motion before was held.')
    if made['start']:
        said.append(f'Motion starts at the first frame, and {made["start"]}: try the best one.')
    if made['fault']:
        said.append(f'The driver is broken: {made["fault"]}.')
    return out, ' '.join(said)


def examples() -> tuple[list[str], str]:
    """Portraits and a driver of synthetic people, who come with the program."""
    folder = Path(__file__).parent / 'examples'
    found = sorted(str(file) for file in folder.glob('portrait_*.jpg'))
    if not found:
        raise UserError(f'{folder}: no examples; install the package again')
    return found, str(folder / 'driver.mp4')
