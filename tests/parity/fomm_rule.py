"""What both sides of the comparison with the first order motion model share."""

import zlib

import numpy as np
from rule import numbers, weight

SIDE, ROWS = 64, 2
COMMON = dict(num_kp=5, num_channels=3, estimate_jacobian=True)
KP = dict(temperature=0.1, block_expansion=4, max_features=16, scale_factor=0.25, num_blocks=3)
MOTION = dict(block_expansion=4, max_features=20, num_blocks=3, scale_factor=0.25)
GENERATOR = dict(
    block_expansion=4, max_features=12, num_down_blocks=2, num_bottleneck_blocks=2,
    estimate_occlusion_map=True,
)  # fmt: skip
JUDGE = dict(scales=[1], block_expansion=4, max_features=12, num_blocks=4)
SCALES = (1, 0.5, 0.25)
# Outputs and losses that sampling with `align_corners` changes.
CORNERS = (
    'mask', 'occlusion', 'deformation', 'prediction', 'perceptual', 'equivariance_value',
    'equivariance_jacobian', 'feature_matching',
)  # fmt: skip
FULL = 'full.'  # prefix of the seed of the networks at full size


def tensor(part: str, name: str, shape: tuple[int, ...], prefix: str = '') -> np.ndarray:
    """Return a tensor of an official network; Jacobians stay near the identity.

    Random ones would be singular here and there, and no two programs invert them alike.
    """
    value = weight(f'{prefix}{part}.{name}', shape)
    if name == 'jacobian.weight':
        return 0.1 * value
    if name == 'jacobian.bias':
        return value + np.tile(np.float32([1, 0, 0, 1]), shape[0] // 4)
    return value


def picture(name: str, rows: int, side: int) -> np.ndarray:
    """Return images in [0, 1] with something smooth in them: waves and noise."""
    across = np.linspace(0, 1, side)
    phase = numbers(f'{name} phase', rows, 3, 3)[:, None, None]
    waves = np.sin(6 * across[:, None, None] * phase[..., 0] + 9 * across[:, None] * phase[..., 1])
    return np.float32(0.5 + 0.3 * waves + 0.05 * np.tanh(numbers(name, rows, side, side, 3)))


def transform(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the affine maps [rows, 2, 3] and the bends [rows, 25] of the equivariance."""
    matrix = np.eye(2, 3, dtype=np.float32) + 0.05 * numbers('theta', rows, 2, 3)
    return np.float32(matrix), np.float32(0.005 * numbers('bends', rows, 25))


# Of checkpoints that the official program wrote: name -> whether it is a zip.
FILES = {'fomm_old.pth.tar.xz': False, 'fomm_zip.pth.tar.xz': True}
TINY = {
    'common': dict(num_kp=3, num_channels=3, estimate_jacobian=True),
    'kp_detector': dict(
        temperature=0.1, block_expansion=2, max_features=4, scale_factor=0.5, num_blocks=1
    ),
    'generator': dict(
        block_expansion=2, max_features=4, num_down_blocks=1, num_bottleneck_blocks=1,
        estimate_occlusion_map=True,
        dense_motion_params=dict(
            block_expansion=2, max_features=4, num_blocks=1, scale_factor=0.5
        ),
    ),
    'discriminator': dict(scales=[1], block_expansion=2, max_features=4, num_blocks=2, use_kp=True),
}  # fmt: skip


def pattern(part: str, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return a tensor that compresses well and belongs to its name."""
    first = zlib.crc32(f'{part}.{name}'.encode()) % 97
    values = (first + np.arange(int(np.prod(shape))) % 7) / 100
    return values.astype(np.float32).reshape(shape)
