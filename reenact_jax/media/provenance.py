"""Tell what says of a file that it is synthetic: metadata, invisible mark, content credentials.

    reenact-jax provenance result.mp4 portrait.jpg

It prints a line of JSON a file: `metadata` (digital source type trainedAlgorithmicMedia),
`watermark` (whether the pixels bear reenact_jax's mark, from about 128 pixels a side on), its
`score`, in standard deviations of chance, its `key` ('own': that of REENACT_WATERMARK_KEY;
'default': the published one, which anybody can use), and `c2pa`: null without content credentials,
else their `state` (valid; invalid, as in a file that was changed after it was signed; or not looked
at, for the `reason` given, for example that c2pa-python is missing), the `signer` they name and
whether it is `trusted`, by the authorities in the file of --trust. An untrusted signer may be
anybody. None of it proves that a picture is real: metadata and credentials can be removed, and the
mark is of this program alone.
"""

import itertools
import json
from typing import NamedTuple

from reenact_jax.common import errors
from reenact_jax.media import certificates, credentials, reading, watermark, writing

FRAMES = 48  # frames looked at in a video, evenly spread: what is in all of them adds up


class Marks(NamedTuple):
    """The marks of a file."""

    metadata: bool
    watermark: bool
    score: float
    key: str | None
    c2pa: dict | None


def inspect(path: str, anchors: str | None = None) -> Marks:
    """Look at a picture, a video or a folder of pictures (at its pixels alone).

    Args:
      path: the file or folder.
      anchors: certificates of trusted authorities, PEM.

    Raises:
      UserError: it is none of these.
    """
    reader = reading.Reader(path)
    step = max(1, -(-reader.probe.frames // FRAMES))
    found = watermark.look(itertools.islice(reader, 0, None, step))
    there = found.score >= watermark.FOUND
    is_file = reader.probe.kind != 'folder'
    marked = is_file and writing.is_marked(path)
    signed = credentials.read(path, anchors) if is_file else None
    return Marks(marked, there, found.score, found.key if there else None, signed)


def main(arguments: list[str] | None = None) -> int:
    """Run the command: print the marks of every file."""
    parser = errors.Parser(
        prog='reenact-jax provenance',
        description=__doc__,
    )
    parser.add_argument('file', nargs='+', metavar='FILE', help='pictures and videos to look at')
    parser.add_argument(
        '--trust', metavar='FILE', help='PEM file of authorities whose signers are trusted'
    )
    args = parser.parse_args(arguments)
    anchors = certificates.anchors(args.trust) if args.trust else None
    for file in args.file:
        marks = inspect(file, anchors)
        print(json.dumps({'file': file, **marks._asdict(), 'score': round(marks.score, 1)}))
    return 0
