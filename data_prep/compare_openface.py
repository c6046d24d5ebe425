"""MediaPipe's action units and head angles beside OpenFace's on the frames of one video.

    python -m data_prep.compare_openface tables/clip.csv footage/clip.mp4

Prints a line for each of the 20 numbers: the correlation over the frames in which both found the
face, the slope and the offset of MediaPipe's number against OpenFace's (angles in degrees), and the
mean of each. A negative correlation of an angle would mean that its sign is not that of tracks.py.
"""

import numpy as np
from tqdm import tqdm

from reenact_jax.common import errors
from reenact_jax.common.errors import UserError
from reenact_jax.data.tracks import AU_NAMES, POSE_NAMES
from reenact_jax.faces import Detector, openface, resting
from reenact_jax.faces.following import Follower
from reenact_jax.media import reading


def pairs(table: openface.Table, video: str, detector: Detector):
    """Collect both tools' numbers of the frames in which both found the face.

    Rows belong to frames by number: OpenFace's times are those of a constant rate from nought.
    MediaPipe's face is the one that is followed through the video (faces/following.py).

    Args:
      table: OpenFace's table of the video.
      video: a file.
      detector: MediaPipe's.

    Returns:
      MediaPipe's numbers, above the person's rest as `prepare videos` stores them, which of them
      are known, and OpenFace's numbers, all [f, 20].

    Raises:
      UserError: there are fewer than three such frames.
    """
    rows = {int(frame): row for row, frame in enumerate(table.frame) if table.success[row]}
    found, known, theirs = [], [], []
    reader, follower = reading.Reader(video), Follower(detector, where=video)
    frames = tqdm(reader.frames(), total=reader.probe.frames, unit='frame')
    for number, shown in enumerate(frames):
        face = follower(shown.image, shown.begin).face
        if face is not None and number in rows:
            found.append(face.aus)
            known.append(face.aus_valid)
            theirs.append(table.aus[rows[number]])
    if rows and max(rows) >= reader.given:
        raise UserError(
            f'{video}: {reader.given} frames, but its table goes to frame {max(rows) + 1}; give '
            'the video that the table was made of'
        )
    if len(found) < 3:
        raise UserError(f'{video}: only {len(found)} frames in which both found a face')
    found, known = np.array(found), np.array(known)
    return resting.above(found, known), known, np.array(theirs)


def text(found, known, theirs) -> str:
    """Write the comparison as Markdown; arguments as returned by `pairs`."""
    lines = ['| | correlation | slope | offset | mean here | mean there |', '|---' * 6 + '|']
    for i, name in enumerate((*AU_NAMES, *POSE_NAMES)):
        if not known[:, i].all():
            lines.append(f'| {name} | not known | | | | {theirs[:, i].mean():.2f} |')
            continue
        degrees = 180 / np.pi if name in POSE_NAMES else 1
        a, b = found[:, i] * degrees, theirs[:, i] * degrees
        if b.std() < 1e-6 or a.std() < 1e-6:
            lines.append(f'| {name} | does not change | | | {a.mean():.2f} | {b.mean():.2f} |')
            continue
        slope, offset = np.polyfit(b, a, 1)
        correlation = np.corrcoef(a, b)[0, 1]
        lines.append(
            f'| {name} | {correlation:.2f} | {slope:.2f} | {offset:.2f} | {a.mean():.2f} | '
            f'{b.mean():.2f} |'
        )
    return f'{len(found)} frames\n\n' + '\n'.join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = errors.Parser(
        prog='python -m data_prep.compare_openface',
        description=__doc__,
    )
    parser.add_argument('table', help="OpenFace's table of the video")
    parser.add_argument('video')
    parser.add_argument('--face-landmarker', metavar='FILE', help="the detector's model file")
    options = parser.parse_args(arguments)
    table = openface.read(options.table)
    with Detector(options.face_landmarker) as detector:
        print(text(*pairs(table, options.video, detector)))
    return 0


if __name__ == '__main__':
    errors.command(main)
