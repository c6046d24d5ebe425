"""Memory of a process while it animates a long clip: flat, or growing.

    reenact-jax bench memory --model BUNDLE --minutes 10

Writes a clip of that length (scikit-image's astronaut, shifted to and fro, 25 frames a second),
animates her with it as reenact does, and prints the memory that the process holds after every
minute of the clip (on Linux; elsewhere: the most that it has held so far).
"""

import json
import resource
import sys
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from reenact_jax import bundle, faces
from reenact_jax.common import command_line, errors
from reenact_jax.common.errors import UserError
from reenact_jax.media import writing
from reenact_jax.reenact import drivers, flags, portraits, recording
from reenact_jax.reenact.animation import Animation
from reenact_jax.reenact.output import Output

RATE, SIDE = 25, 256  # the clip's frames a second, its side in pixels


def resident() -> float:
    """Read how many MiB this process holds (outside Linux: the most that it has held)."""
    if sys.platform == 'linux':
        pages = int(Path('/proc/self/statm').read_text().split()[1])
        return pages * resource.getpagesize() / 2**20
    unit = 1 if sys.platform == 'darwin' else 1024  # bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def clip(path: Path, minutes: float) -> str:
    """Write a video of the astronaut, who moves to and fro; return its path."""
    picture = Image.fromarray(portraits.astronaut()).resize((SIDE, SIDE))
    picture = np.asarray(picture)
    with writing.VideoWriter(path, Fraction(RATE)) as video:
        for n in tqdm(range(round(minutes * 60 * RATE)), unit='frame', desc='writing the clip'):
            video.write(np.roll(picture, round(6 * np.sin(n / 12)), 1))
    return str(path)


def measure(model: bundle.Bundle, detector, minutes: float, folder: Path) -> list[float]:
    """Animate the astronaut for a while and watch the memory.

    Args:
      model: a bundle.
      detector: finds faces.
      minutes: length of the clip.
      folder: where the clip and the result are written.

    Returns:
      MiB at the end of every minute of the clip; a last part of a minute counts as one.
    """
    options = model.size, model.points, detector
    driving = clip(folder / 'clip.mp4', minutes)
    source = portraits.from_picture(portraits.astronaut(), *options, 'largest')
    driver, held = drivers.from_file(driving, *options, seen=model.sees), []

    def watched() -> Iterator[drivers.Frame]:
        for number, frame in enumerate(driver.frames, 1):
            yield frame
            if number % (60 * RATE) == 0 or number == driver.count:
                held.append(resident())

    out = str(folder / 'out.mp4')
    watching = driver._replace(frames=watched())
    recording.record(Animation(model, source), watching, Output(out))
    return held


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = errors.Parser(
        prog='reenact-jax bench memory',
        description=__doc__,
    )
    add = parser.add_argument
    flags.model(add)
    add('--minutes', type=float, default=10, help='length of the clip; default 10')
    args = parser.parse_args(arguments)
    if not 1 / 60 <= args.minutes <= 240:
        raise UserError(f'--minutes {args.minutes}: from a second (0.017) to 240')
    command_line.say_device()
    model = bundle.load(args.model)
    with tempfile.TemporaryDirectory() as folder, faces.Detector(args.face_landmarker) as detector:
        held = measure(model, detector, args.minutes, Path(folder))
    for minute, size in enumerate(held, 1):
        print(f'  minute {min(minute, args.minutes):>5.4g}: {size:9.1f} MiB')
    print(json.dumps({'MiB': [round(size, 1) for size in held]}))
    return 0


if __name__ == '__main__':
    errors.command(main)
