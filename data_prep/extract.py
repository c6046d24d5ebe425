"""Extraction of one video or still: the records of the faces in it, and its line of the report."""

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.common.settings import setting
from reenact_jax.data import tracks
from reenact_jax.data.shards import framing as tfrecord
from reenact_jax.data_prep import records
from reenact_jax.data_prep.footage import Source
from reenact_jax.data_prep.outcome import Outcome, finish
from reenact_jax.data_prep.parts import WHOLE, Part
from reenact_jax.faces import SELFIE, AnyDetector, segmenter
from reenact_jax.faces.following import Finder
from reenact_jax.faces.tracking import Sighting, Stretch, Tracker, sample
from reenact_jax.media import reading

_LOOKS = 5  # frames of a stretch that are checked to make sure that it is a human face


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of finding and cutting out faces. After a change all inputs are read again."""

    size: int = setting(256, low=32, high=1024, doc='side of the stored crops, pixels')
    frames: int = setting(16, low=1, high=64, doc='most frames a record')
    clip_seconds: float = setting(10.0, low=0.5, doc='longest stretch of a track in one record')
    rate: float = setting(12.5, low=1.0, doc='frames a second in which faces are looked for')
    min_frames: int = setting(4, low=1, doc='shortest stretch of a video, frames with the face')
    min_width: float = setting(48.0, low=1.0, doc='smallest width of the 68 points, source pixels')
    min_height: float = setting(64.0, low=1.0, doc='smallest height, source pixels')
    gap_seconds: float = setting(0.5, low=0.0, doc='a track ends if its face is unseen for longer')
    cut: float = setting(0.75, low=0.0, high=1.0, doc='share of colours common to one shot')
    confidence: float = setting(0.5, low=0.1, high=0.99, doc='detection threshold')
    detector: str = setting('', doc='a detector of your own, my_package.faces:find')
    faces: int = setting(4, low=1, high=32, doc='most faces in a frame')
    quality: int = setting(95, low=50, high=100, doc='JPEG quality')
    segmenter: str = setting('', doc='model for masks with hair, a .tflite; see faces/segment.py')
    segmenter_classes: str = setting(SELFIE, doc='its categories; background, face, hair, unknown')


def extract(
    source: Source,
    target: str,
    options: Options,
    detector: AnyDetector,
    progress: Callable[[], object] = lambda: None,
) -> Outcome:
    """Write the records of a file to `target` (TFRecord framing), and its report beside it.

    The records' identity is a number within the file (`_people`). A broken file gives no records,
    even from its good part: where that ends is not known.

    Args:
      source: the file.
      target: path of the records.
      options: how faces are found and cut out.
      detector: finds faces.
      progress: called for every frame.
    """
    path, key = source.path, source.key
    outcome = Outcome(key)
    rejected: Counter = Counter()
    written = []
    try:
        with storage.writing(target) as file:
            part = source.part() if source.part else WHOLE
            stretches, rate = _follow(path, part, options, detector, outcome, progress)
            for track in _records(path, key, stretches, rate, options, detector, rejected):
                file.write(tfrecord.frame(tracks.encode(track)))
                written.append(track.identity)
    except UserError as error:
        outcome.status, outcome.detail = 'broken', str(error)
        storage.write(target, b'')
        written = []
    return finish(target, outcome, written, rejected)


def _follow(path: Path, part: Part, options, detector: AnyDetector, outcome: Outcome, progress):
    """Find and follow faces: the first pass.

    Returns:
      The stretches, each with its number of frames, and the frame rate (0 for a still).

    Raises:
      UserError: the file is broken.
    """
    reader = reading.Reader(path, part.rate)
    still = reader.probe.kind == 'still'
    rate = 0.0 if still else float(reader.timeline.mean)
    step, half = 1 / options.rate, 0.5 / max(rate, 1.0)  # seconds
    tracker = Tracker(options.clip_seconds, max(step + half, options.gap_seconds))
    finder, due, stretches = Finder(detector, options.cut), -math.inf, []
    for number, (image, time, _) in part.frames(reader):
        outcome.frames += 1
        progress()
        finder.watch(image)
        if time < due:
            continue
        due = time + step - half
        found, cut = finder.search(image, time, tracker.boxes())
        found = part.chosen(found, time, *image.shape[1::-1])
        outcome.frames_searched += 1
        outcome.frames_with_face += bool(found)
        stretches += _kept(tracker.update(number, found, time, cut), options)
    stretches += _kept(tracker.finish(), options)
    outcome.tracks = tracker.tracks
    if fault := part.fault(reader, outcome.frames):
        raise UserError(fault)
    return stretches, rate


def _kept(stretches: list[Stretch], options: Options) -> list[tuple[Stretch, int]]:
    """Reduce stretches to the frames to be stored; return each with the frames that it had."""
    return [
        (s._replace(sightings=sample(s.sightings, options.frames)), len(s.sightings))
        for s in stretches
    ]


def _records(path, key, stretches, rate, options, detector, rejected) -> Iterator[tracks.Track]:
    """Decode again and cut out: the second pass; `rejected` counts what is not used, and why."""
    wanted = []
    for stretch, length in stretches:
        reason = unfit(stretch.sightings, length, rate, options)
        if reason:
            rejected[reason] += 1
        else:
            wanted.append(_Cutting(stretch, records.window(stretch.sightings)))
    if not wanted:
        return
    face = records.canonical(detector)
    people = _people([cutting.stretch for cutting in wanted])
    for number, image in enumerate(reading.Reader(path)):
        for cutting in [c for c in wanted if c.next.frame == number]:
            cutting.take(image, options, detector)
            if cutting.left:
                continue
            wanted.remove(cutting)
            if cutting.certain:
                yield records.build(
                    cutting.stretch.sightings,
                    cutting.pictures,
                    cutting.crop,
                    options.size,
                    image.shape[1::-1],
                    face,
                    segmenter=segmenter(options.segmenter, options.segmenter_classes),
                    rate=rate,
                    track_id=f'{key}#{cutting.stretch.name}',
                    identity=people[cutting.stretch.track],
                    identity_name='',
                    source_file=key,
                    detector=detector.name,
                    licence='',
                    consent='',
                )
            else:
                rejected['not certainly a human face'] += 1
        if not wanted:
            return


def _people(stretches: list[Stretch]) -> dict[int, int]:
    """Number the people of a file: track -> person.

    Faces seen at the same time are different people. Person 0, whom the labels name, is the one
    whose track begins first (of equals, the larger face) or, after that track has ended, the next.
    So in footage that cuts between people number 0 is not always the same person: split such
    footage into files and label each.
    """
    spans: dict[int, list[int]] = {}
    for stretch in stretches:
        first, last = stretch.sightings[0].frame, stretch.sightings[-1].frame
        span = spans.setdefault(stretch.track, [first, last])
        span[:] = min(first, span[0]), max(last, span[1])
    people: dict[int, int] = {}
    for track, (first, last) in sorted(spans.items(), key=lambda item: (item[1][0], item[0])):
        seen = {people[t] for t in people if spans[t][0] <= last and spans[t][1] >= first}
        people[track] = min(set(range(len(people) + 1)) - seen)
    return people


@dataclasses.dataclass
class _Cutting:
    """A stretch whose frames are being cut out of the file as it is read again."""

    stretch: Stretch
    crop: tuple[float, float, float]
    pictures: list[bytes] = dataclasses.field(default_factory=list)
    certain: bool = False

    @property
    def left(self) -> int:
        return len(self.stretch.sightings) - len(self.pictures)

    @property
    def next(self) -> Sighting:
        return self.stretch.sightings[len(self.pictures)]

    def take(self, image, options: Options, detector: AnyDetector) -> None:
        if not self.certain and len(self.pictures) < _LOOKS:
            self.certain = detector.is_certain(image, self.next.face)
        picture = records.picture(image, self.crop, options.size, options.quality)
        self.pictures.append(picture)


def unfit(sightings: Sequence[Sighting], length: int, rate: float, options) -> str | None:
    """Tell why a stretch is not used; None if it is used.

    Args:
      sightings: those to be stored.
      length: frames that the stretch had.
      rate: frames a second; 0: a still, whose only frame suffices.
      options: with `min_frames` (not for stills), `min_width` and `min_height`.
    """
    if rate and length < options.min_frames:
        return f'shorter than {options.min_frames} frames'
    boxes = [s.face.landmarks(s.face.sets[0])[:, :2] for s in sightings]
    width, height = (sorted(b[:, i].max() - b[:, i].min() for b in boxes) for i in range(2))
    middle = len(boxes) // 2
    if width[middle] < options.min_width or height[middle] < options.min_height:
        return f'smaller than {options.min_width:g} x {options.min_height:g} pixels'
    return None
