"""Make the people and the motions that come with the package (reenact_jax/pretrained).

    python -m data_prep.performances --out reenact_jax/pretrained

Three motions of four seconds: talk, smile, look_around. Each begins and ends at rest, so that it
may be repeated. A synthetic person performs them: motions/*.csv (reenact/motion.py) have exact
landmarks and action units. people/ has synthetic portraits, 512 x 512, and a film of one who talks.
"""

import dataclasses
import itertools
import pathlib
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import simplejpeg
from jaxtyping import Float

from reenact_jax import pretrained
from reenact_jax.common import errors
from reenact_jax.data.tracks import Track
from reenact_jax.data_prep.heads import clips, head, likeness, motion
from reenact_jax.data_prep.heads.expressions import AU
from reenact_jax.data_prep.heads.pose import State
from reenact_jax.data_prep.heads.surface import step
from reenact_jax.data_prep.heads.variety import Variety
from reenact_jax.reenact import motion as motion_files
from reenact_jax.reenact.output import Output

FRAMES = round(motion.LENGTH * motion.RATE)
RATE = Fraction(motion.RATE)
POINTS = '68'
SIDE = 512  # of the portraits, pixels
FILM_SIDE = 256
PERFORMER = 2_000_111  # seed of who performs; none of the sets that are trained on has it
PEOPLE = (2_000_113, 2_000_115, 2_000_108)  # seeds of the portraits, chosen by eye
FRIENDLY = {'AU12': 0.25, 'AU06': 0.1}  # what a portrait does
# Pictures as a good photographer's: no glasses, noise, colour cast or blur.
PLAIN = Variety(**{field.name: 0.0 for field in dataclasses.fields(Variety)})

Keys = Sequence[tuple[float, float]]  # seconds and values


def eased(seconds: Float[np.ndarray, ' t'], keys: Keys) -> Float[np.ndarray, ' t']:
    """Go from key to key with soft starts and stops; before the first and after the last: level."""
    value = np.full(len(seconds), keys[0][1])
    for (begin, _), (end, there) in itertools.pairwise(keys):
        before = value.copy()
        value = before + (there - before) * step(begin, end, seconds)
    return value


def perform(name: str) -> State:
    """Return the frames of a motion.

    Args:
      name: one of `pretrained.MOTIONS`.
    """
    seconds = np.arange(FRAMES) / motion.RATE
    units, angles, gaze = {'talk': _talk, 'smile': _smile, 'look_around': _look}[name](seconds)
    aus = np.zeros((FRAMES, len(AU)))
    for unit, values in units.items():
        aus[:, AU[unit]] = np.clip(values, 0, 1)
    pose = np.deg2rad(np.stack(angles, -1))
    return State(aus, pose, np.deg2rad(np.stack(gaze, -1)), np.zeros((FRAMES, 3)))


def _talk(s):
    """Two phrases of syllables, brows that stress two of them, small nods."""
    phrases = [(0.2, 0), (0.4, 1), (1.6, 1), (1.8, 0)], [(2.1, 0), (2.3, 1), (3.5, 1), (3.7, 0)]
    loud = sum(eased(s, phrase) for phrase in phrases)
    beat = 0.5 - 0.5 * np.cos(2 * np.pi * 4.2 * s + 0.9 * np.sin(2 * np.pi * 1.3 * s))
    vowel = 0.5 + 0.5 * np.sin(2 * np.pi * 1.7 * s + 1.0)  # wide or round
    stress = eased(s, [(0.5, 0), (0.7, 1), (1.1, 0), (2.4, 0), (2.6, 0.8), (3.0, 0)])
    units = {
        'AU26': loud * beat * (0.2 + 0.35 * vowel),
        'AU25': loud * (0.15 + 0.6 * beat),
        'AU20': 0.4 * loud * vowel * beat,
        'AU23': 0.35 * loud * (1 - vowel) * (1 - beat),
        'AU12': eased(s, [(2.6, 0), (3.2, 0.35), (3.6, 0.35), (3.95, 0)]),
        'AU01': 0.6 * stress,
        'AU02': 0.6 * stress,
        'AU45': _blink(s, 1.9) + _blink(s, 3.6),
    }
    pitch = 3.5 * stress + 1.5 * loud * np.sin(2 * np.pi * 1.1 * s)
    yaw = eased(s, [(0.2, 0), (1.2, 6), (2.0, -2), (3.0, -7), (3.95, 0)])
    roll = eased(s, [(0.3, 0), (1.4, -2.5), (2.9, 3), (3.95, 0)])
    return units, (pitch, yaw, roll), (-0.4 * yaw, 0.3 * pitch)


def _smile(s):
    """A smile that shows the teeth and goes; the head leans to one side."""
    smile = eased(s, [(0.4, 0), (1.2, 1), (2.6, 1), (3.7, 0)])
    units = {
        'AU12': 0.95 * smile,
        'AU06': 0.8 * smile,
        'AU25': 0.7 * eased(s, [(0.7, 0), (1.4, 1), (2.4, 1), (3.2, 0)]),
        'AU45': _blink(s, 0.5) + _blink(s, 2.9),
    }
    roll = eased(s, [(0.5, 0), (1.5, 6), (2.5, 6), (3.8, 0)])
    return units, (2 * smile, 5 * smile, roll), (-2 * smile, 0 * s)


def _look(s):
    """To one side, to the other, up, and back; the eyes go first, the brows rise with a look up."""
    yaw = eased(s, [(0.3, 0), (0.9, 24), (1.3, 24), (2.1, -24), (2.4, -24), (3.0, 0)])
    pitch = eased(s, [(2.4, 0), (3.0, -12), (3.3, -12), (3.9, 0)])
    side = eased(s, [(0.2, 0), (0.4, -14), (0.9, -4), (1.3, -4), (1.5, 14), (2.1, 4), (2.5, 0)])
    up = eased(s, [(2.4, 0), (2.6, 9), (3.2, 6), (3.8, 0)])
    units = {
        'AU01': 0.5 * up / 9,
        'AU02': 0.5 * up / 9,
        'AU45': _blink(s, 1.35) + _blink(s, 3.4),
    }
    return units, (pitch, yaw, 0.15 * yaw), (side, up)


def _blink(s, at: float):
    return eased(s, [(at, 0), (at + 0.08, 1), (at + 0.12, 1), (at + 0.3, 0)])


def track(seed: int, state: State, size: int) -> Track:
    """Let the person of a seed perform, without pictures (size 0) or with pictures of `size`."""
    baked = head.bake(seed, PLAIN) if size else None
    person = baked.person if baked else likeness.likeness(seed, PLAIN)
    labels = clips.Labels(f'performance_{seed}', 0, 0, seed)
    return clips.clip(person, state, labels, size or SIDE, head=baked, variety=PLAIN)


def motion_of(made: Track) -> motion_files.Motion:
    """Return the exact motion of a track, landmarks to a ten-thousandth of the crop's side."""
    landmarks = np.round(made.landmarks_68 / made.size, 4)
    known = np.asarray(made.aus_valid > 0)
    return motion_files.Motion(np.round(made.aus, 4), known, RATE, POINTS, landmarks)


def write(folder: pathlib.Path) -> None:
    """Write motions, portraits and the film into a folder."""
    for name in pretrained.MOTIONS:
        file = folder / 'motions' / f'{name}.csv'
        motion_files.write(file, motion_of(track(PERFORMER, perform(name), 0)))
    friendly = State(*(np.zeros((1, n)) for n in (len(AU), 3, 2, 3)))
    for unit, value in FRIENDLY.items():
        friendly.aus[:, AU[unit]] = value
    for number, seed in enumerate(PEOPLE, 1):
        picture = simplejpeg.decode_jpeg(track(seed, friendly, SIDE).image[0])
        _save(folder / 'people' / f'person_{number}.jpg', [picture])
    images = track(PERFORMER, perform('talk'), FILM_SIDE).image
    _save(folder / 'people' / 'driver.mp4', [simplejpeg.decode_jpeg(image) for image in images])


def _save(file: pathlib.Path, pictures: list) -> None:
    rate = float(RATE)
    shown = [(picture, n / rate, (n + 1) / rate) for n, picture in enumerate(pictures)]
    Output(str(file), signed=False).save(shown, RATE, len(shown))


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = errors.Parser(prog='python -m data_prep.performances', description=__doc__)
    parser.add_argument('--out', required=True, metavar='FOLDER', help='folder to write to')
    write(pathlib.Path(parser.parse_args(arguments).out))
    return 0


if __name__ == '__main__':
    errors.command(main)
