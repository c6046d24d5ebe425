"""What says of a file that it is synthetic: IPTC's metadata, and the invisible mark in the pixels.

    python -m reenact_jax.provenance result.mp4 portrait.jpg

Prints a line of JSON a file: `metadata` (digital source type trainedAlgorithmicMedia), `watermark`
(whether the pixels bear reenact_jax's mark, from about 200 pixels a side on) and its `score`, in
standard deviations of chance. Neither proves that a picture is real: metadata can be removed, and
the mark is of this program alone.
"""

import argparse
import itertools
import json
from typing import NamedTuple

from reenact_jax import errors, media, results, watermark

FRAMES = 48  # of a video, evenly spread: what is in all of them adds up


class Found(NamedTuple):
    """What a file says of itself."""

    metadata: bool
    watermark: bool
    score: float


def inspect(path: str) -> Found:
    """Looks at a picture, a video or a folder of pictures. Raises UserError when it is neither."""
    reader = media.Reader(path)
    step = max(1, -(-reader.probe.frames // FRAMES))
    score = watermark.score(itertools.islice(reader, 0, None, step))
    marked = reader.probe.kind != 'folder' and results.is_marked(path)
    return Found(marked, score >= watermark.FOUND, score)


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog='python -m reenact_jax.provenance',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('file', nargs='+', metavar='FILE', help='pictures, videos')
    for file in parser.parse_args(arguments).file:
        found = inspect(file)
        print(json.dumps({'file': file, **found._asdict(), 'score': round(found.score, 1)}))
    return 0


if __name__ == '__main__':
    errors.command(main)
