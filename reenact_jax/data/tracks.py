"""The one record: a face track as bytes in a shard, on the host, as a batch on the device.

Conventions, everywhere in this project
- **Pixels**: x to the right, y down, in pixels of the square crop; (0, 0) is the top left *corner*
  of the image, so the centre of pixel i lies at i + 0.5. Scaling an image by s scales points by s,
  a horizontal flip maps x to width - x.
- **Depth**: z away from the camera, in the same unit as x and y, 0 at the mean of the points.
- **Axes**: x right, y down, z away from the camera (right-handed). The head's rotation is
  R = R_x R_y R_z, angles in radians by the right-hand rule, and a point p of the frontal head
  appears at R p. So, as the camera sees it: R_x > 0 looks down, R_y > 0 turns the nose to the
  left of the image, R_z > 0 tilts the head clockwise.
- **Action units**: 17 intensities 0..1 in OpenFace's `_r` order (its 0..5 divided by 5), then
  R_x, R_y, R_z in radians: 20 numbers, the vector of FACEGAN (section 3).
- **Left and right** of a face are the image's: the left eye is the one at smaller x when frontal.
- **Gaze**: (yaw, pitch) of the eyes relative to the head, radians; positive to the right of the
  image and downwards.
- **Segmentation**: 0 background (clothes too), 1 face (skin of face, ears and neck, eyes, mouth,
  brows), 2 hair, 255 unknown (ignored by losses). Neck and ears count as face because FACEGAN's
  reenactor draws them and its mixer removes them with the background mask (its section 3.3).
- **Unknown** labels are -1; unknown AUs are 0 with `aus_valid` False; nothing is NaN.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np
from google.protobuf.message import DecodeError
from jaxtyping import Bool, Float, Int, UInt8
from tensorflow_datasets.proto import tf_example_pb2

from reenact_jax.common.arrays import AnyArray
from reenact_jax.common.errors import UserError
from reenact_jax.data import wire

AU_NAMES = tuple(
    f'AU{n:02d}' for n in (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
)
POSE_NAMES = ('R_x', 'R_y', 'R_z')
POSE = slice(17, 20)  # the head's rotation inside the 20 numbers

BACKGROUND, FACE, HAIR, UNKNOWN = 0, 1, 2, 255  # segmentation classes
UNLABELLED = -1
SOURCE, DRIVING, TRUTH = 0, 1, 2  # roles in a record of the gt_cross split

POINT_SETS = {'68': 68, '106': 106, '68c': 68}  # surface, surface, contour (jaw on the silhouette)
FIELD_VERSION = 1
_Example = tf_example_pb2.Example  # pyright: ignore[reportAttributeAccessIssue]

# A field that nobody read is None. Code that names a field in `reads` or `DRIVEN_BY` has it, so the
# static checker takes it as given.
if TYPE_CHECKING:
    Unread = Any
else:
    Unread = None


class Field(NamedTuple):
    """One row of the field table: how an attribute of `Track` is stored in the Example."""

    kind: str  # 'bytes' (list of encoded images), 'float', 'int', 'text'
    shape: tuple  # 'T' is the number of frames; () a single value
    unit: str


MOST_IDENTITIES = 10_000_000  # people of a set
# The stored fields. The name is both the Example's feature key and the attribute of `Track`.
FIELDS: dict[str, Field] = {
    'track_id': Field('text', (), 'unique in the set'),
    'identity': Field('int', (), 'number of the person in the set, from 0'),
    'identity_name': Field('text', (), 'name of the person as the data set gives it'),
    'size': Field('int', (), 'side of the square crop, pixels'),
    'image': Field('bytes', ('T',), 'JPEG, size x size x 3; empty: landmarks alone'),
    'segmentation': Field('bytes', ('T',), 'PNG, size x size, classes above; empty: unknown'),
    'landmarks_68': Field('float', ('T', 68, 3), 'pixels of the crop; points fixed on the surface'),
    'landmarks_106': Field('float', ('T', 106, 3), 'pixels of the crop; on the surface'),
    'landmarks_68c': Field('float', ('T', 68, 3), 'pixels; the jaw follows the silhouette (iBUG)'),
    'visible_68': Field('int', ('T', 68), '1 if the camera sees the point'),
    'visible_106': Field('int', ('T', 106), '1 if the camera sees the point'),
    'visible_68c': Field('int', ('T', 68), '1 if the camera sees the point'),
    'aus': Field('float', ('T', 20), '17 intensities 0..1, then R_x R_y R_z in radians'),
    'aus_valid': Field('int', ('T', 20), '1 if measured'),
    'gaze': Field('float', ('T', 2), 'yaw, pitch in radians'),
    'gaze_valid': Field('int', ('T',), '1 if measured'),
    'expression': Field('int', ('T',), 'label shared by all people in the set; -1 unknown'),
    'pose_id': Field('int', ('T',), 'label shared by all people in the set; -1 unknown'),
    'reference_68': Field('float', ('T', 68, 3), 'the same person, neutral, at this pose; pixels'),
    'reference_106': Field('float', ('T', 106, 3), 'the same for 106 points'),
    'reference_68c': Field('float', ('T', 68, 3), 'the same for the contour points'),
    'frame_number': Field('int', ('T',), 'in the source file'),
    'crop': Field('float', (4,), 'x0, y0, side of the crop in source pixels; source frames/s'),
    'pair': Field('int', (), 'gt_cross: number of the pair; -1 elsewhere'),
    'role': Field('int', (), 'gt_cross: 0 source, 1 driving, 2 ground truth; -1 elsewhere'),
    'source_file': Field('text', (), 'provenance: file name, or the generator with its seed'),
    'detector': Field('text', (), 'what measured points and AUs, with version; "exact": synthetic'),
    'licence': Field('text', (), 'licence of the footage as its source states it'),
    'consent': Field('text', (), 'yes | no | unknown | synthetic'),
}
# Not in every record, in no index: when each frame is shown, from where picture or sound begins.
TIMES = Field('float', ('T',), 'seconds in the source file')
# Fields with a value a frame, in the order in which an index lists their pieces.
PER_FRAME = tuple(name for name, field in FIELDS.items() if field.shape[:1] == ('T',))


@dataclasses.dataclass(frozen=True)
class Track:
    """A face track of T frames: fields, shapes and units as in `FIELDS`. Arrays are NumPy's."""

    track_id: str
    identity: int
    identity_name: str
    size: int
    image: tuple[bytes, ...]
    segmentation: tuple[bytes, ...]
    landmarks_68: Float[np.ndarray, 't 68 3']
    landmarks_106: Float[np.ndarray, 't 106 3']
    landmarks_68c: Float[np.ndarray, 't 68 3']
    visible_68: Int[np.ndarray, 't 68']
    visible_106: Int[np.ndarray, 't 106']
    visible_68c: Int[np.ndarray, 't 68']
    aus: Float[np.ndarray, 't 20']
    aus_valid: Int[np.ndarray, 't 20']
    gaze: Float[np.ndarray, 't 2']
    gaze_valid: Int[np.ndarray, ' t']
    expression: Int[np.ndarray, ' t']
    pose_id: Int[np.ndarray, ' t']
    reference_68: Float[np.ndarray, 't 68 3']
    reference_106: Float[np.ndarray, 't 106 3']
    reference_68c: Float[np.ndarray, 't 68 3']
    frame_number: Int[np.ndarray, ' t']
    crop: Float[np.ndarray, ' 4']
    source_file: str
    detector: str
    licence: str
    consent: str
    pair: int = UNLABELLED
    role: int = UNLABELLED
    seconds: Float[np.ndarray, ' t'] | None = None  # as in `TIMES`; None: the file does not say

    @property
    def frames(self) -> int:
        """Return T, the number of frames."""
        return len(self.image)


def encode(track: Track) -> bytes:
    """Serialise a track as a `tf.train.Example`, the same bytes for the same track.

    Raises:
      UserError: a field has a wrong shape, NaN or infinity, or the identity is out of range; the
        message names it.
    """
    if not 0 <= int(track.identity) < MOST_IDENTITIES:
        raise UserError(
            f'track {track.track_id}: identity {track.identity}; people are numbered from 0 and '
            f'below {MOST_IDENTITIES:,}'
        )
    example = _Example()
    features = example.features.feature
    features['version'].int64_list.value.append(FIELD_VERSION)
    features['frames'].int64_list.value.append(track.frames)
    for name, field in FIELDS.items():
        value = getattr(track, name)
        if field.kind == 'bytes':
            if len(value) != track.frames:
                raise UserError(f'track {track.track_id}: {name} has {len(value)} frames')
            features[name].bytes_list.value.extend(value)
        elif field.kind == 'text':
            features[name].bytes_list.value.append(value.encode())
        else:
            array = _checked(track.track_id, name, np.asarray(value), field, track.frames)
            kind = 'float_list' if field.kind == 'float' else 'int64_list'
            getattr(features[name], kind).value.extend(array.ravel().tolist())
    if track.seconds is not None:
        times = _checked(track.track_id, 'seconds', track.seconds, TIMES, track.frames)
        features['seconds'].float_list.value.extend(times.tolist())
    return example.SerializeToString(deterministic=True)


def decode(record: bytes, where: str = 'record') -> Track:
    """Read the track in a serialised Example; images stay encoded.

    Args:
      record: the bytes.
      where: file and record number, for the error message.

    Raises:
      UserError: the bytes are not a face track of this version.
    """
    features, frames = _features(record, where)
    times: Any = None
    if 'seconds' in features:
        times = _value(features['seconds'], TIMES, frames, f'{where}, field seconds')
    fields: Any = read_fields(record, FIELDS, where)
    return Track(**fields, seconds=times)


def read_fields(record: bytes, names: Iterable[str], where: str = 'record') -> dict[str, Any]:
    """Read some fields of the track in a serialised Example, by name; otherwise as `decode`."""
    features, frames = _features(record, where)
    return {
        name: _value(features[name], FIELDS[name], frames, f'{where}, field {name}')
        for name in names
    }


def spans(record: bytes, names: Sequence[str], frames: int, where: str = 'record') -> list:
    """Find where fields with a value a frame lie in a serialised track.

    Args:
      record: the bytes.
      names: keys of `FIELDS`.
      frames: T, which the record is to have.
      where: file and record number, for the error message.

    Returns:
      (begin, end) of the pieces, one name after another: a piece a frame of encoded images, one of
      a field of numbers, which `numbers` takes.

    Raises:
      UserError: as `decode`.
    """
    try:
        features = wire.find_features(record)
        version = record[slice(*features[b'version'])]
        _check_version(wire.integers(version, 1).tolist(), where)
        places = []
        for name in names:
            feature = features[name.encode()]
            if FIELDS[name].kind == 'bytes':
                images = wire.encodings(record, feature)
                if len(images) != frames:
                    raise UserError(f'{where}, field {name}: {len(images)} frames, not {frames}')
                places += images
            else:
                numbers(record[slice(*feature)], name, frames, where)
                places.append(feature)
        return places
    except (ValueError, IndexError, KeyError, DecodeError) as error:
        raise UserError(f'{where}: not a face track ({error!r})') from None


def numbers(piece: bytes, name: str, frames: int, where: str = 'record') -> np.ndarray:
    """Read a field of numbers, [t, ...], from the bytes that `spans` found.

    Args:
      piece: the bytes.
      name: key of `FIELDS`.
      frames: T.
      where: file and record number, for the error message.

    Raises:
      UserError: another count of numbers.
    """
    shape = (frames, *FIELDS[name].shape[1:])
    count = math.prod(shape)
    floats = FIELDS[name].kind == 'float'
    array = wire.floats(piece) if floats else wire.integers(piece, count)
    if array.size != count:
        raise _wrong_count(array.size, shape, f'{where}, field {name}')
    return array.reshape(shape)


def _features(record: bytes, where: str):
    """Read the Example's features and its number of frames, and check its version."""
    try:
        features = _Example.FromString(record).features.feature
    except DecodeError as error:
        raise UserError(f'{where}: not a tf.train.Example ({error})') from None
    _check_version(list(features['version'].int64_list.value), where)
    return features, features['frames'].int64_list.value[0]


def _check_version(version: list[int], where: str) -> None:
    if version != [FIELD_VERSION]:
        raise UserError(
            f'{where}: face track version {version}, expected [{FIELD_VERSION}]; write them again'
        )


def _wrong_count(count: int, shape: tuple, where: str) -> UserError:
    return UserError(f'{where}: {count} numbers, expected shape {shape}')


def _value(feature, field: Field, frames: int, where: str):
    if field.kind == 'bytes':
        return tuple(feature.bytes_list.value)
    if field.kind == 'text':
        return feature.bytes_list.value[0].decode()
    integer = field.kind == 'int'
    shape = tuple(frames if side == 'T' else side for side in field.shape)
    array = np.array(
        feature.int64_list.value if integer else feature.float_list.value,
        np.int64 if integer else np.float32,
    )
    if array.size != math.prod(shape):
        raise _wrong_count(array.size, shape, where)
    return int(array[0]) if shape == () else array.reshape(shape)


def _checked(track_id: str, name: str, array: np.ndarray, field: Field, frames: int) -> np.ndarray:
    shape = tuple(frames if side == 'T' else side for side in field.shape)
    if array.shape != shape:
        raise UserError(f'track {track_id}: {name} has shape {array.shape}, expected {shape}')
    if field.kind == 'float' and not np.isfinite(array).all():
        raise UserError(f'track {track_id}: {name} holds NaN or infinity')
    return array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Batch:
    """A batch as it crosses the host-device border: K frames each of B tracks; None: not read.

    A batch of several steps has the steps as its first axis (t).

    Rows 2i and 2i + 1 are of different identities: each is the other's *partner*.
    On the device, after `preprocess.prepare`, `image` is float32 in [-1, 1] and points are in
    pixels of the working size.
    """

    image: UInt8[AnyArray, '*t b k h w 3'] | Float[AnyArray, '*t b k h w 3'] | Unread = None
    landmarks: Float[AnyArray, '*t b k n 2'] | Unread = None
    landmarks3d: Float[AnyArray, '*t b k n 3'] | Unread = None
    visible: Bool[AnyArray, '*t b k n'] | Unread = None
    reference: Float[AnyArray, '*t b k n 2'] | Unread = None
    aus: Float[AnyArray, '*t b k 20'] | Unread = None
    aus_valid: Bool[AnyArray, '*t b k 20'] | Unread = None
    gaze: Float[AnyArray, '*t b k 2'] | Unread = None
    segmentation: UInt8[AnyArray, '*t b k h w'] | Unread = None
    identity: Int[AnyArray, '*t b'] | Unread = None
    expression: Int[AnyArray, '*t b k'] | Unread = None
    pose_id: Int[AnyArray, '*t b k'] | Unread = None


BATCH_FIELDS = tuple(field.name for field in dataclasses.fields(Batch))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Face:
    """One face a row: the source, a driving frame or the driver's first frame. None: unknown.

    `image` in [-1, 1]; `landmarks` in pixels of the crop that `image` shows.
    """

    image: Float[AnyArray, 'b h w 3'] | Unread = None
    landmarks: Float[AnyArray, 'b n 2'] | Unread = None
    landmarks3d: Float[AnyArray, 'b n 3'] | Unread = None
    aus: Float[AnyArray, 'b 20'] | Unread = None
    aus_valid: Bool[AnyArray, 'b 20'] | Float[AnyArray, 'b 20'] | Unread = None  # or 0 and 1
    segmentation: UInt8[AnyArray, 'b h w'] | Unread = None


@dataclasses.dataclass(frozen=True)
class DataInfo:
    """Facts of a data set from which a system builds its networks and schedules."""

    identities: int  # people in the training split (classifiers, one-hot inputs)
    examples: int  # training records
    points: str = '68'  # point set: a key of POINT_SETS
    images: int = 0  # frames of all training records (epochs -> steps); 0: unknown
