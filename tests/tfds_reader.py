"""Read a split with TensorFlow Datasets and write what it gives; runs without this package.

python tfds_reader.py DIR SPLIT OUT.npz
"""

import sys

import numpy as np
import tensorflow_datasets as tfds


def main(directory: str, split: str, out: str) -> None:
    """Write field i of the examples as `i/field`; pictures as their bytes and as `i/pixels`."""
    builder = tfds.builder_from_directory(directory)
    encoded = {'image': tfds.decode.SkipDecoding()}
    read = dict(split=split, shuffle_files=False)
    rows = {}
    for number, example in enumerate(tfds.as_numpy(builder.as_dataset(**read, decoders=encoded))):
        for name, value in example.items():
            if isinstance(value, bytes) or np.asarray(value).dtype.hasobject:
                values = [value] if isinstance(value, bytes) else list(value)
                rows[f'{number}/{name}/count'] = np.array(len(values))
                for i, one in enumerate(values):
                    rows[f'{number}/{name}/{i}'] = np.frombuffer(one, np.uint8)
            else:
                rows[f'{number}/{name}'] = np.asarray(value)
    for number, example in enumerate(tfds.as_numpy(builder.as_dataset(**read))):
        rows[f'{number}/pixels'] = np.asarray(example['image'])
    np.savez(out, **rows)


if __name__ == '__main__':
    main(*sys.argv[1:])
