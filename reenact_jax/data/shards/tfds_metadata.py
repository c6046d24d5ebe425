"""Files with which TensorFlow Datasets opens a shard set: `features.json`, `dataset_info.json`.

tfds.builder_from_directory(DIR)   # info, splits and counts; reading needs TensorFlow
"""

import json

import numpy as np
import tensorflow_datasets as tfds
from google.protobuf import json_format
from tensorflow_datasets.core.proto import dataset_info_pb2

from reenact_jax.data.shards.manifest import NAME
from reenact_jax.data.tracks import FIELD_VERSION, FIELDS, Field

_DESCRIPTION = (
    'Face tracks: up to 16 frames of one face each, with points, action units, segmentation and '
    'provenance; fields, units and signs in reenact_jax/data/tracks.py.'
)


def features_json() -> str:
    """Describe the record's fields as TFDS features; segmentations stay PNG (empty: unknown)."""
    features = {name: _feature(name, field) for name, field in FIELDS.items()}
    features |= {
        'version': tfds.features.Scalar(np.int64),
        'frames': tfds.features.Scalar(np.int64),
    }
    content = tfds.features.FeaturesDict(features).to_json()
    return json.dumps(content, indent=1, sort_keys=True) + '\n'


def dataset_info_json(splits: dict) -> str:
    """Describe the splits, with records and bytes of every shard, from the set's index."""
    info = dataset_info_pb2.DatasetInfo(  # pyright: ignore[reportAttributeAccessIssue]
        name=NAME,
        version=f'{FIELD_VERSION}.0.0',
        description=_DESCRIPTION,
        file_format='tfrecord',
    )
    for split, entry in sorted(splits.items()):
        info.splits.add(
            name=split,
            shard_lengths=[shard['records'] for shard in entry['shards']],
            num_bytes=sum(shard['bytes'] for shard in entry['shards']),
            filepath_template='{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}',
        )
    return json_format.MessageToJson(info, indent=1, sort_keys=True) + '\n'


def _feature(name: str, field: Field):
    if name == 'image':
        return tfds.features.Sequence(
            tfds.features.Image(shape=(None, None, 3), encoding_format='jpeg')
        )
    if field.kind == 'bytes':
        return tfds.features.Sequence(tfds.features.Tensor(shape=(), dtype=np.object_))
    if field.kind == 'text':
        return tfds.features.Text()
    dtype = np.int64 if field.kind == 'int' else np.float32
    shape = tuple(None if side == 'T' else side for side in field.shape)
    return tfds.features.Tensor(shape=shape, dtype=dtype)
