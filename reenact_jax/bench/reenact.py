"""Milliseconds a frame of every part of an animation, and the speed of the whole.

    reenact-jax bench reenact --model BUNDLE --source portrait.jpg --driving clip.mp4

Without --source and --driving, scikit-image's astronaut is driven by a clip of her picture, shifted
to and fro. Each part runs by itself over the same frames. The whole runs in three ways: its stages
one after another; at the same time, as reenact does; and one after another for one frame at a time,
without a filter that looks ahead, which is the least that a frame takes from its reading to its
writing. Processor time is that of all threads: it hardly depends on what else the machine does.
"""

import dataclasses
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import jax
import numpy as np

from reenact_jax import bundle, faces
from reenact_jax.common import command_line, errors
from reenact_jax.common.errors import UserError
from reenact_jax.faces.following import Follower
from reenact_jax.media import reading, watermark, writing
from reenact_jax.reenact import drivers, flags, portraits, recording
from reenact_jax.reenact.animation import Animation
from reenact_jax.reenact.options import BATCH
from reenact_jax.reenact.output import Output
from reenact_jax.reenact.pipeline import DEPTH, Ahead, Pipeline, serial

SHIFTS = 48  # frames of the clip that stands in for a driver
WHOLES = 'one after another', 'whole', 'one frame at a time'


class Stopwatch:
    """A timer of parts, by name.

    Attributes:
      spent: milliseconds a frame.
      worked: milliseconds of processor time a frame, of all threads.
    """

    def __init__(self):
        self.spent: dict[str, float] = {}
        self.worked: dict[str, float] = {}

    def __call__(self, name: str, count: int, work: Callable):
        """Do the work on `count` frames and return its result."""
        begin, begun = time.perf_counter(), time.process_time()
        result = work()
        self.spent[name] = 1000 * (time.perf_counter() - begin) / count
        self.worked[name] = 1000 * (time.process_time() - begun) / count
        return result


class Latency:
    """What reads streams ahead and notes when frames are decoded and when they are encoded."""

    def __init__(self, line: Pipeline):
        """Watch the streams of an animation."""
        self._line, self._begins, self._ends = line, [], []

    def ahead(self, stream: Iterable, depth: int = DEPTH, /) -> Iterator:
        """Read a stream ahead; the first one has the decoded frames."""
        if not self._ends:
            stream = self._noted(stream)
        self._ends.append([])
        return self._taken(self._line.ahead(stream, depth), self._ends[-1])

    def median(self) -> float:
        """Return the median of the milliseconds between the two."""
        of_frames = [ends for ends in self._ends if len(ends) == len(self._begins)]
        last = max(of_frames, key=lambda ends: ends[-1])  # those that are written
        pairs = zip(self._begins, last, strict=True)
        return 1000 * statistics.median(end - begin for begin, end in pairs)

    def _noted(self, stream: Iterable) -> Iterator:
        for item in stream:
            self._begins.append(time.perf_counter())
            yield item

    def _taken(self, stream: Iterator, ends: list) -> Iterator:
        for item in stream:
            yield item
            ends.append(time.perf_counter())  # the next one is asked for


def measure(animation: Animation, driving: str, detector) -> dict:
    """Time every part of an animation, and the whole.

    Args:
      animation: a bundle and a portrait.
      driving: the driver's video.
      detector: finds faces.

    Returns:
      Milliseconds a frame, and milliseconds of processor time, of every part; of the whole also
      frames a second and latencies; the result's height and width.

    Raises:
      UserError: the driver shows no face.
    """
    timed, count, model = Stopwatch(), reading.probe(driving).frames, animation.bundle
    frames = timed('decode', count, lambda: list(reading.Reader(driving).frames()))
    detector.detect(frames[0].image)  # the model is read once
    follow = Follower(detector)
    found = timed('detect', count, lambda: [follow(one.image, one.begin).face for one in frames])
    if not any(face is not None for face in found):
        raise UserError(f'{driving}: no face in any frame')
    spec: dict = dict(detector=detector, seen=model.sees)
    driver = drivers.from_file(driving, model.size, model.points, **spec)
    seen = [frame.face for frame in driver.frames if frame.face is not None][:BATCH]
    drawn = _drawing(animation, seen, timed)
    whole = timed('paste', BATCH, lambda: [animation.painter.finish(picture) for picture in drawn])
    watermark.embed(whole[0])
    marked = timed('watermark', BATCH, lambda: [watermark.embed(picture) for picture in whole])
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / 'out.mp4')
        timed('encode video', 4 * BATCH, lambda: _encode(out, 4 * marked))
        latency = _whole(animation, driving, spec, out, timed, count)
    return {
        'ms a frame': timed.spent,
        'CPU ms a frame': timed.worked,
        'frames/s': {name: 1000 / timed.spent[name] for name in WHOLES},
        'latency, ms': latency,
        'side': whole[0].shape[:2],
    }


def _whole(animation: Animation, driving: str, spec: dict, out: str, timed, count: int) -> dict:
    """Time the whole in its three ways; return the latencies."""
    model = animation.bundle

    def record(animation: Animation, ahead: Ahead):
        driver = drivers.from_file(driving, model.size, model.points, **spec, ahead=ahead)
        recording.record(animation, driver, Output(out), ahead)

    options = dataclasses.replace(animation.options, batch=1, smooth=False)
    single = dataclasses.replace(animation, options=options)
    record(single, serial)  # compiled for one row
    timed(WHOLES[0], count, lambda: record(animation, serial))
    with Pipeline() as line:
        watch = Latency(line)
        timed(WHOLES[1], count, lambda: record(animation, watch.ahead))
    timed(WHOLES[2], count, lambda: record(single, serial))
    return {'in the stages': watch.median(), 'by itself': timed.spent[WHOLES[2]]}


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
        worked = report['CPU ms a frame'][name]
        print(f'  {name:<22}{value:>9.2f} ms a frame{worked:>9.2f} ms of processor time')
    for name, value in report['frames/s'].items():
        print(f'  {name:<22}{value:>9.1f} frames/s')
    for name, value in report['latency, ms'].items():
        print(f'  {"latency, " + name:<22}{value:>9.1f} ms')
    print(json.dumps(report))
    return 0


if __name__ == '__main__':
    errors.command(main)
