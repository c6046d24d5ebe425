"""Results of a bundle for fixed inputs; as a script, stored with the code of a commit.

python tests/stored/rendered.py BUNDLE NUMBERS.npz
"""

import sys

import numpy as np

from reenact_jax import bundle

POINTS = 68


def rendered(folder) -> dict[str, np.ndarray]:
    """Compute transferred landmarks [2, 68, 2] and the image [1, s, s, 3] of the first of them."""
    model, rng = bundle.load(folder), np.random.default_rng(0)

    def face(rows: int) -> dict:
        points = rng.uniform(0.25, 0.75, (rows, POINTS, 3)) * model.size
        points = np.float32(points)
        return {'landmarks': points[..., :2], 'landmarks3d': points}

    picture = np.float32(rng.uniform(-1, 1, (1, model.size, model.size, 3)))
    source = face(1) | {'image': picture}
    landmarks = np.asarray(model.transfer(model.identify(source), face(2), source))
    image = np.asarray(model.render(model.encode(source), landmarks[:1]))
    return {'landmarks': landmarks, 'image': image}


if __name__ == '__main__':
    np.savez_compressed(sys.argv[2], **rendered(sys.argv[1]))
