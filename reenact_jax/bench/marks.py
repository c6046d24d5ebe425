"""How well the invisible mark survives, how often it is seen where none is, and what it costs.

    reenact-jax bench marks --data data/heads

Frames are random squares of scikit-image's photographs and, with --data, frames of a shard set, in
turn. Each is marked and changed in one way at a time: the table has the share that was found and
the smallest score. Then the largest score of unmarked frames, each another one, and milliseconds.
"""

import argparse
import io
import time
from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from reenact_jax.common import errors
from reenact_jax.data.shards import ShardSet
from reenact_jax.media import watermark
from reenact_jax.media.containers import pyav

NAMES = ('astronaut', 'chelsea', 'coffee', 'rocket', 'immunohistochemistry')
HELD = 8  # frames for which a video shows one picture
Frame = UInt8[np.ndarray, '_ _ 3']


def views(count: int, side: int, seed: int, part: ShardSet | None = None) -> Iterator[Frame]:
    """Give distinct squares of pictures, `side` pixels wide."""
    from skimage import data

    rng = np.random.default_rng(seed)
    pictures = [getattr(data, name)()[..., :3] for name in NAMES]
    for number in range(count):
        if part is not None and number % 2:
            record = int(rng.integers(len(part)))
            frames = part.track(record).image
            coded = frames[int(rng.integers(len(frames)))]
            picture = np.asarray(Image.open(io.BytesIO(coded)).convert('RGB'))
        else:
            picture = pictures[number % len(pictures)]
        yield _square(picture, side, rng)


def _square(picture: Frame, side: int, rng: np.random.Generator) -> Frame:
    most = min(picture.shape[:2])
    size = int(rng.integers(most // 3, most + 1))
    y, x = (int(rng.integers(0, limit - size + 1)) for limit in picture.shape[:2])
    part = picture[y : y + size, x : x + size]
    part = part[:, ::-1] if rng.random() < 0.5 else part
    return np.asarray(Image.fromarray(part).resize((side, side), Image.Resampling.BILINEAR))


def scaled(frame: Frame, share: float, way=Image.Resampling.BICUBIC) -> list[Frame]:
    """Scale both sides."""
    height, width = (max(1, round(side * share)) for side in frame.shape[:2])
    return [np.asarray(Image.fromarray(frame).resize((width, height), way))]


def jpeg(frame: Frame, quality: int) -> list[Frame]:
    """Save as JPEG, and read."""
    file = io.BytesIO()
    Image.fromarray(frame).save(file, 'JPEG', quality=quality)
    return [np.asarray(Image.open(file))]


def h264(frame: Frame, crf: int) -> list[Frame]:
    """Show the frame for a while in an H.264 video."""
    av, file = pyav(), io.BytesIO()
    with av.open(file, 'w', format='mp4') as video:
        stream = video.add_stream('libx264', rate=25, options={'crf': str(crf)})
        stream.height, stream.width = frame.shape[:2]
        stream.pix_fmt = 'yuv420p'
        for _ in range(HELD):
            video.mux(stream.encode(av.VideoFrame.from_ndarray(frame, 'rgb24')))
        video.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as video:
        return [one.to_ndarray(format='rgb24') for one in video.decode(video=0)]


def _rotated(frame: Frame, degrees: float) -> list[Frame]:
    image = Image.fromarray(frame).rotate(degrees, Image.Resampling.BICUBIC)
    return [np.asarray(image)]


def _cropped(frame: Frame, share: float) -> list[Frame]:
    """Leave out a border on all sides."""
    border = round(len(frame) * (1 - share) / 2)
    return [np.ascontiguousarray(frame[border : len(frame) - border, border:-border])]


CHANGES: dict[str, Callable[[Frame], list[Frame]]] = {
    'none': lambda frame: [frame],
    'scaled to 50 %': lambda frame: scaled(frame, 0.5),
    'scaled to 75 %, bilinear': lambda frame: scaled(frame, 0.75, Image.Resampling.BILINEAR),
    'scaled to 137 %': lambda frame: scaled(frame, 1.37),
    'scaled to 200 %': lambda frame: scaled(frame, 2.0),
    'flipped': lambda frame: [np.ascontiguousarray(frame[:, ::-1])],
    'JPEG 50': lambda frame: jpeg(frame, 50),
    'H.264, CRF 28': lambda frame: h264(frame, 28),
    'cropped to 99 %': lambda frame: _cropped(frame, 0.99),
    'cropped to 95 %': lambda frame: _cropped(frame, 0.95),
    'rotated by 0.5 degrees': lambda frame: _rotated(frame, 0.5),
    'rotated by 2 degrees': lambda frame: _rotated(frame, 2.0),
}


def survival(frames: list[Frame]) -> dict[str, list[float]]:
    """Return the scores of marked frames after each change."""
    marked = [watermark.embed(frame) for frame in frames]
    return {
        name: [watermark.score(change(frame)) for frame in marked]
        for name, change in CHANGES.items()
    }


def _milliseconds(work: Callable, count: int = 50) -> float:
    begin = time.perf_counter()
    for _ in range(count):
        work()
    return 1000 * (time.perf_counter() - begin) / count


def _noise(frame: Frame) -> float:
    """Measure the mark's PSNR, dB."""
    error = np.square(watermark.embed(frame).astype(float) - frame).mean()
    return float(10 * np.log10(255**2 / error))


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = errors.Parser(prog='reenact-jax bench marks', description=__doc__)
    parser.add_argument('--data', metavar='SHARDS', help='shard set, whose frames are used too')
    parser.add_argument('--split', default='train', help='split of the set; default train')
    parser.add_argument('--sides', type=_sides, default=[256, 512], help='default 256,512')
    parser.add_argument('--frames', type=int, default=100, help='marked frames; default 100')
    parser.add_argument('--unmarked', type=int, default=10_000, help='others; default 10,000')
    args = parser.parse_args(arguments)
    part = ShardSet(args.data, args.split) if args.data else None
    for side in args.sides:
        frames = list(views(args.frames, side, 1, part))
        print(f'{side} x {side}: PSNR {min(map(_noise, frames)):.1f} dB or more')
        for name, scores in survival(frames).items():
            share = np.mean(np.array(scores) >= watermark.FOUND)
            print(f'  {name:26} found {share:6.1%}, smallest score {min(scores):6.1f}', flush=True)
    scores = [watermark.score([frame]) for frame in views(args.unmarked, 256, 2, part)]
    alarms = sum(score >= watermark.FOUND for score in scores)
    print(f'{len(scores)} unmarked frames: {alarms} false alarms, largest {max(scores):.2f}')
    frame = next(views(1, 512, 3))
    print(f'embedding, 512 x 512: {_milliseconds(lambda: watermark.embed(frame)):.2f} ms')
    print(f'detection, 512 x 512: {_milliseconds(lambda: watermark.score([frame])):.1f} ms')
    return 0


def _sides(text: str) -> list[int]:
    try:
        return [int(side) for side in text.split(',')]
    except ValueError:
        raise argparse.ArgumentTypeError(f'{text!r}: expected sides in pixels, 256,512') from None


if __name__ == '__main__':
    errors.command(main)
