"""Track shards from videos and the tables that OpenFace wrote of them.

    FeatureExtraction -f clip.mp4 -out_dir tables -2Dfp -3Dfp -pose -aus      # OpenFace's own
    reenact-jax prepare openface tables/ --videos footage/ --out data/openface

Each table is read with the video of the same name, which lies beside it or in --videos. Points,
head pose and the 17 intensities are OpenFace's; nothing is detected anew. Points are stored as the
set 68c, whose jaw follows the silhouette: train with --config.points=68c. Frames that OpenFace
calls a failure, or whose confidence is below --confidence, are dropped and counted in
OUT/report.tsv.

The table --labels names the person, else the video's sub-folder does, else each video is a person
of its own. Without --segmenter the stored mask has the hull of the points as the face; forehead,
hair, ears and neck are unknown. The neutral reference is the frame with the smallest sum of
intensities.
"""

import dataclasses
import glob
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from reenact_jax.common import errors, storage
from reenact_jax.common.errors import UserError
from reenact_jax.common.settings import setting
from reenact_jax.data import tracks
from reenact_jax.data.shards import framing as tfrecord
from reenact_jax.data_prep import flags, footage, gather, records
from reenact_jax.data_prep.outcome import Outcome, finish
from reenact_jax.faces import SELFIE, openface, segmenter
from reenact_jax.faces.openface import Table
from reenact_jax.geometry import landmarks
from reenact_jax.media import reading


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of selecting and cutting out. After a change all inputs are read again."""

    size: int = setting(256, low=32, high=1024, doc='side of the stored crops, pixels')
    frames: int = setting(16, low=1, high=64, doc='most frames a record')
    clip_seconds: float = setting(10.0, low=0.5, doc='longest stretch in one record')
    min_frames: int = setting(4, low=1, doc='shortest stretch, frames')
    min_width: float = setting(48.0, low=1.0, doc='smallest width of the points, source pixels')
    min_height: float = setting(64.0, low=1.0, doc='smallest height, source pixels')
    gap_seconds: float = setting(0.5, low=0.0, doc='a longer gap ends a stretch')
    confidence: float = setting(0.75, low=0.0, high=1.0, doc="least confidence of OpenFace's own")
    quality: int = setting(95, low=50, high=100, doc='JPEG quality')
    segmenter: str = setting('', doc='model for masks with hair, a .tflite; see faces/segment.py')
    segmenter_classes: str = setting(SELFIE, doc='its categories; background, face, hair, unknown')


class Paired(NamedTuple):
    """A video and its table; a `gather.Source`."""

    path: Path
    table: Path
    key: str
    identity: str
    licence: str
    consent: str

    @property
    def files(self) -> tuple[Path, ...]:
        """Return both files: the video and its table."""
        return self.path, self.table

    @property
    def frames(self) -> int:
        """Count the frames that the video's header promises."""
        return footage.promised(self.path)


def pair(tables: Iterable[str], videos: str | None) -> list[tuple[Path, str, Path]]:
    """Find the video of each table.

    Args:
      tables: files, or folders, which are searched with their sub-folders.
      videos: a folder; None: the videos lie beside the tables.

    Returns:
      (video, key, table) of each.

    Raises:
      UserError: there is no table, or tables have no video; it names them.
    """
    files = []
    for item in tables:
        root = Path(item)
        files += sorted(root.rglob('*.csv')) if root.is_dir() else [root]
    if missing := [str(path) for path in files if not path.is_file()]:
        raise UserError(f'{", ".join(missing)}: no such file')
    if not files:
        raise UserError(f'{", ".join(tables)}: no .csv there')
    pairs, lonely = [], []
    beyond = footage.find([videos]) if videos else []
    for table in files:
        same = (p for p in table.parent.glob(f'{glob.escape(table.stem)}.*') if p.is_file())
        beside = [p for p in same if footage.is_video(p)]
        candidates = [(p, p.name) for p in beside] + [v for v in beyond if v[0].stem == table.stem]
        if candidates:
            pairs.append((*candidates[0], table))
        else:
            lonely.append(str(table))
    if lonely:
        raise UserError(
            f'no video of the same name for {", ".join(lonely[:5])}{" ..." * (len(lonely) > 5)}; '
            'put them beside the tables or name their folder: --videos'
        )
    return pairs


def extract(
    source: Paired,
    target: str,
    options: Options,
    detector: None = None,
    progress: Callable[[], object] = lambda: None,
) -> Outcome:
    """Write the records of a video to `target` (TFRecord framing), and its report beside it.

    Args:
      source: the video and its table.
      target: path of the records.
      options: what is kept and how it is cut out.
      detector: not used.
      progress: called for every frame.
    """
    del detector
    outcome, rejected, people = Outcome(source.key), Counter(), []
    output: list[tracks.Track] = []
    try:
        table = openface.read(source.table)
        if table.points is None:
            raise UserError(f'{source.table}: no points (x_0 ... y_67); run OpenFace with -2Dfp')
        rate = float(reading.probe(source.path).rate or 0)
        stretches = list(_stretches(table, rate, options, rejected))
        outcome.frames_searched = len(table.frame)
        outcome.frames_with_face = int(_good(table, options).sum())
        outcome.tracks = len(np.unique(table.face))
        output = list(_records(source, table, stretches, rate, options, outcome, progress))
        people = [track.identity for track in output]
    except UserError as error:
        outcome.status, outcome.detail, people, output = 'broken', str(error), [], []
    with storage.writing(target) as file:
        for track in output:
            file.write(tfrecord.frame(tracks.encode(track)))
    return finish(target, outcome, people, rejected)


def _good(table: Table, options: Options):
    return table.success & (table.confidence >= options.confidence)


def _stretches(table: Table, rate: float, options: Options, rejected: Counter) -> Iterator:
    """Choose the rows of each record: good ones of one face, no long gaps, evenly spread."""
    good = _good(table, options)
    rejected.update({'frames without success': int((~table.success).sum())})
    rejected.update({'frames below the confidence': int((table.success & ~good).sum())})
    for face in np.unique(table.face):
        rows = np.flatnonzero(good & (table.face == face))
        gaps = np.diff(table.frame[rows]) > max(1, round(options.gap_seconds * rate))
        for run in np.split(rows, np.flatnonzero(gaps) + 1):
            if not len(run):
                continue
            part = (table.frame[run] - table.frame[run[0]]) // max(1, options.clip_seconds * rate)
            for number in np.unique(part):
                stretch = run[part == number]
                if reason := _unfit(table.points[stretch], options):
                    rejected[reason] += 1
                else:
                    places = np.linspace(0, len(stretch) - 1, min(options.frames, len(stretch)))
                    yield stretch[places.round().astype(int)]
    for reason in [reason for reason, count in rejected.items() if not count]:
        del rejected[reason]


def _unfit(points: Float[np.ndarray, 't 68 3'], options: Options) -> str | None:
    if len(points) < options.min_frames:
        return f'shorter than {options.min_frames} frames'
    width, height = np.median(np.ptp(points[..., :2], axis=1), 0)
    if width < options.min_width or height < options.min_height:
        return f'smaller than {options.min_width:g} x {options.min_height:g} pixels'
    return None


def _records(source, table, chosen, rate, options, outcome, progress) -> Iterator[tracks.Track]:
    """Read the video once and cut out the frames of all records."""
    crops = [landmarks.crop_box(table.points[rows]) for rows in chosen]
    pictures: list[list[bytes]] = [[] for _ in chosen]
    width = height = 0
    reader = reading.Reader(source.path)
    times = []
    for number, (image, time, _) in enumerate(reader.frames()):
        times.append(time)
        outcome.frames += 1
        progress()
        height, width = image.shape[:2]
        for rows, crop, jpegs in zip(chosen, crops, pictures, strict=True):
            if len(jpegs) < len(rows) and table.frame[rows[len(jpegs)]] == number:
                jpegs.append(records.picture(image, crop, options.size, options.quality))
    if fault := reader.fault():
        raise UserError(fault)
    last = max((table.frame[rows].max() for rows in chosen), default=-1)
    if last >= outcome.frames:
        raise UserError(
            f'{source.path}: {outcome.frames} frames, but {source.table} goes to frame {last + 1}; '
            'is it the table of this video?'
        )
    for i, (rows, crop, jpegs) in enumerate(zip(chosen, crops, pictures, strict=True)):
        yield _record(source, table, rows, crop, jpegs, (width, height), rate, options, i, times)


def _record(
    source, table, rows, crop, pictures, frame, rate, options, number, times
) -> tracks.Track:
    (x0, y0, side), size = crop, options.size
    count, scale = len(rows), size / side
    masks = segmenter(options.segmenter, options.segmenter_classes)
    points = np.float32((table.points[rows] - [x0, y0, 0]) * scale)
    inside = np.array([-x0, -y0, frame[0] - x0, frame[1] - y0]) * scale
    faces = list(np.unique(table.face))
    absent = {
        f'{kind}_{name}': np.zeros((count, tracks.POINT_SETS[name], 3), np.float32)
        for kind in ('landmarks', 'reference')
        for name in ('68', '106')
    }
    return tracks.Track(
        track_id=f'{source.key}#{number}',
        identity=faces.index(table.face[rows[0]]),
        identity_name='',
        size=size,
        image=tuple(pictures),
        segmentation=tuple(
            records.segmented(jpeg, masks, inside) if masks else records.outlined(p, size, inside)
            for jpeg, p in zip(pictures, points, strict=True)
        ),
        landmarks_68c=points,
        reference_68c=records.moved_still(points, int(table.aus[rows, :17].sum(1).argmin())),
        **absent,
        visible_68=np.zeros((count, 68), np.int64),
        visible_106=np.zeros((count, 106), np.int64),
        visible_68c=np.ones((count, 68), np.int64),
        aus=table.aus[rows],
        aus_valid=np.ones((count, 20), np.int64),
        gaze=np.zeros((count, 2), np.float32),
        gaze_valid=np.zeros(count, np.int64),
        expression=np.full(count, tracks.UNLABELLED),
        pose_id=np.full(count, tracks.UNLABELLED),
        frame_number=table.frame[rows],
        crop=np.float32([x0, y0, side, rate]),
        seconds=np.float32(np.array(times)[table.frame[rows]]),
        source_file=source.key,
        detector='OpenFace FeatureExtraction',
        licence='',
        consent='',
    )  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = errors.Parser(
        prog='reenact-jax prepare openface',
        description=__doc__,
    )
    add = parser.add_argument
    add('tables', nargs='+', metavar='CSV', help="OpenFace's tables: files, or folders of them")
    add(
        '--videos',
        metavar='DIR',
        help='folder, searched with sub-folders (default: beside the tables)',
    )
    add('--labels', metavar='CSV', help='columns file, identity, licence, consent (.tsv: tabs)')
    flags.add(parser, Options)
    args = parser.parse_args(arguments)
    options, dealing = flags.read(args, Options)
    pairs = pair(args.tables, args.videos)
    tables = {key: table for _, key, table in pairs}
    files = [(video, key) for video, key, _ in pairs]
    sources = [
        Paired(s.path, tables[s.key], s.key, s.identity, s.licence, s.consent)
        for s in footage.label(files, args.labels, args.licence, args.consent)
    ]
    outcomes = gather.prepare(
        sources,
        args.out,
        extract,
        options,
        dealing,
        detect=False,
        parameters={'made_by': 'data_prep.openface', 'points': ['68c']},
        engine=flags.engine(args),
    )
    flags.show(args.out, outcomes, dealing)
    return 0


if __name__ == '__main__':
    errors.command(main)
