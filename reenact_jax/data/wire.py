"""Protobuf's wire format, read in place: fields of a `tf.train.Example` without parsing the rest.

An Example is entries (key, Feature) one after another; a Feature is a list of byte strings, of
floats or of integers. Each of these is a tag, a length and so many bytes: what is not asked for is
skipped, however large its images are, and arrays are views of the record. If the bytes are
otherwise, every function raises ValueError or IndexError.

Source: https://protobuf.dev/programming-guides/encoding, tensorflow/core/example/feature.proto.
"""

import numpy as np
from tensorflow_datasets.proto import tf_feature_pb2

_FIRST, _SECOND = 0x0A, 0x12  # tags of the fields 1 and 2 of a message, when they have a length
_BYTES, _FLOATS, _INTEGERS = 0x0A, 0x12, 0x1A  # tags of a Feature's kinds
Span = tuple[int, int]  # where something begins and ends in the record


def find_features(record: bytes) -> dict[bytes, Span]:
    """Find where each key's Feature lies in a serialised Example, tag and length included."""
    features = {}
    at, end = _inside(record, (0, len(record)), _FIRST)
    while at < end:
        at, entry_end = _field(record, at, _FIRST)
        key, key_end = _field(record, at, _FIRST)
        features[record[key:key_end]] = key_end, entry_end
        at = entry_end
    if at != end:
        raise ValueError('an entry longer than its message')
    return features


def encodings(record: bytes, feature: Span) -> list[Span]:
    """Find where the byte strings of a Feature of byte strings lie."""
    at, end = _inside(record, _inside(record, feature, _SECOND), _BYTES)
    spans = []
    while at < end:
        spans.append(_field(record, at, _FIRST))
        at = spans[-1][1]
    if at != end:
        raise ValueError('a byte string longer than its list')
    return spans


def floats(feature: bytes) -> np.ndarray:
    """Read the numbers of a Feature of floats: float32, read-only, a view of its bytes."""
    at, end = _packed(feature, _FLOATS)
    if (end - at) % 4:
        raise ValueError('part of a float')
    return np.frombuffer(feature, '<f4', (end - at) // 4, at)


def integers(feature: bytes, expected: int) -> np.ndarray:
    """Read the numbers of a Feature of integers: int64, or a view, int8, if all are 0 ... 127.

    Args:
      feature: its bytes.
      expected: how many numbers there should be; as many bytes can only be as many small numbers.
    """
    at, end = _packed(feature, _INTEGERS)
    if end - at == expected:
        small = np.frombuffer(feature, np.int8, expected, at)
        if small.min(initial=0) >= 0:
            return small
    at, end = _inside(feature, (0, len(feature)), _SECOND)
    message = tf_feature_pb2.Feature  # pyright: ignore[reportAttributeAccessIssue]
    return np.array(message.FromString(feature[at:end]).int64_list.value, np.int64)


def _packed(feature: bytes, kind: int) -> Span:
    """Find where a Feature of that kind has its packed numbers; an empty list may lack them."""
    numbers = _inside(feature, _inside(feature, (0, len(feature)), _SECOND), kind)
    return _inside(feature, numbers, _FIRST) if numbers[0] < numbers[1] else numbers


def _inside(record: bytes, span: Span, tag: int) -> Span:
    """Find the contents of the one field that fills a span."""
    at, end = _field(record, span[0], tag)
    if end != span[1]:
        raise ValueError(f'a field that ends at byte {end} in a message that ends at {span[1]}')
    return at, end


def _field(record: bytes, at: int, tag: int) -> Span:
    """Find the contents of the field at `at`, which has a length."""
    if record[at] != tag:
        raise ValueError(f'tag {record[at]} at byte {at}, expected {tag}')
    # Seven bits a byte, low ones first; a byte's highest bit, here `top`, says that more follow.
    length, at, top = record[at + 1], at + 2, 0x80
    while length >= top:
        length += (record[at] - 1) * top
        at, top = at + 1, top << 7
    return at, at + length
