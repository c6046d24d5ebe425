"""Milliseconds a frame of every part of an animation, and the speed of the whole.

    reenact-jax bench reenact --model BUNDLE --source portrait.jpg --driving clip.mp4

Without --source and --driving, scikit-image's astronaut is driven by a clip of her picture, shifted
to and fro. Each part runs by itself over the same frames; `whole` is reenact's own pipeline, where
the device renders while the host reads and writes.
"""

import json
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import jax
import numpy as np

from reenact_jax import bundle, faces
from reenact_jax.common import command_line, errors
from reenact_jax.common.errors import UserError
from reenact_jax.media import reading, watermark, writing
from reenact_jax.reenact import drivers, flags, portraits, recording
from reenact_jax.reenact.animation import Animation
from reenact_jax.reenact.options import BATCH
from reenact_jax.reenact.output import Output

SHIFTS = 48  # frames of the clip that stands in for a driver


class Stopwatch:
    """A timer that keeps the milliseconds a frame of every part, by name."""

    def __init__(self):
        self.spent: dict[str, float] = {}

    def __call__(self, name: str, count: int, work: Callable):
        """Do the work on `count` frames and return its result."""
        begin = time.perf_counter()
        result = work()
        self.spent[name] = 1000 * (time.perf_counter() - begin) / count
        return result


def measure(animation: Animation, driving: str, detector) -> dict:
    """Time every part of an animation, and the whole.

    Args:
      animation: a bundle and a portrait.
      driving: the driver's video.
      detector: finds faces.

    Returns:
      Milliseconds a frame of every part, frames a second of the whole, and the result's height and
      width.

    Raises:
      UserError: the driver shows no face.
    """
    timed, count, model = Stopwatch(), reading.probe(driving).frames, animation.bundle
    frames = timed('decode', count, lambda: list(reading.Reader(driving)))
    detector.detect(frames[0])  # the model is read once
    timed('detect', count, lambda: [detector.detect(frame) for frame in frames])

    def driver() -> drivers.Driver:
        return drivers.from_file(driving, model.size, model.points, detector, seen=model.sees)

    seen = [frame.face for frame in driver().frames if frame.face is not None][:BATCH]
    if not seen:
        raise UserError(f'{driving}: no face in any frame')
    drawn = _drawing(animation, seen, timed)
    whole = timed('paste', BATCH, lambda: [animation.painter.finish(picture) for picture in drawn])
    watermark.embed(whole[0])
    marked = timed('watermark', BATCH, lambda: [watermark.embed(picture) for picture in whole])
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / 'out.mp4')
        timed('encode video', 4 * BATCH, lambda: _encode(out, 4 * marked))
        begin = time.perf_counter()
        total = recording.record(animation, driver(), Output(out))['frames']
        rate = total / (time.perf_counter() - begin)
    return {'ms a frame': timed.spent, 'whole, frames/s': rate, 'side': whole[0].shape[:2]}


def _drawing(animation: Animation, seen: list[dict], timed: Stopwatch) -> np.ndarray:
    """Time what the device does; return the frames as they are drawn."""
    model, face = animation.bundle, animation.source.face()
    rows = {k: np.stack([one[k] for one in seen]).astype(np.float32) for k in model.driven_by}
    rows = {k: np.resize(v, (BATCH, *v.shape[1:])) for k, v in rows.items()}
    first = {k: v[:1] for k, v in rows.items()}
    identity, look = model.identify(face), model.encode(face)

    def transfer():
        return jax.block_until_ready(model.transfer(identity, rows, first))

    def network():
        run = model.layers if model.has_layers else model.render
        return jax.block_until_ready(run(look, points))

    def draw():
        return np.asarray(animation.painter.draw(points))

    points = transfer()
    timed('transfer', BATCH, transfer)
    network()
    draw()
    timed('network', BATCH, network)
    return timed('network and composing', BATCH, draw)


def _encode(out: str, frames: list) -> None:
    with writing.VideoWriter(out, Fraction(25)) as video:
        for frame in frames:
            video.write(frame)


def shifted(path: str, picture: np.ndarray) -> str:
    """Write a clip of a picture that moves to and fro; return its path."""
    with writing.VideoWriter(path, Fraction(25)) as video:
        for n in range(SHIFTS):
            video.write(np.roll(picture, round(12 * np.sin(n / 6)), 1))
    return path


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = errors.Parser(
        prog='reenact-jax bench reenact',
        description=__doc__,
    )
    add = parser.add_argument
    flags.model(add)
    add('--source', metavar='PICTURE', help='default: the astronaut')
    add('--driving', metavar='CLIP', help='default: her picture, shifted')
    args = parser.parse_args(arguments)
    command_line.say_device()
    model = bundle.load(args.model)
    with tempfile.TemporaryDirectory() as folder, faces.Detector(args.face_landmarker) as detector:
        options = model.size, model.points, detector, 'largest'
        picture = reading.read_still(args.source) if args.source else portraits.astronaut()
        source = portraits.from_picture(picture, *options)
        driving = args.driving or shifted(str(Path(folder) / 'driver.mp4'), portraits.astronaut())
        report = measure(Animation(model, source), driving, detector)
    for name, value in report['ms a frame'].items():
        print(f'  {name:<16}{value:>9.2f} ms a frame')
    print(f'  {"whole":<16}{report["whole, frames/s"]:>9.1f} frames/s')
    print(json.dumps(report))
    return 0


if __name__ == '__main__':
    errors.command(main)
