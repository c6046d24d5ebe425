"""Metrics: one definition each, pure functions of arrays, one number per row.

Images are [b, h, w, 3] in [-1, 1], landmarks [b, n, 2] in pixels; `truth` is the ground truth.
Values are not reduced, so that a table can say over how many frames it averages. Compare frames
before video encoding.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from reenact_jax.common.arrays import AnyArray
from reenact_jax.common.errors import UserError
from reenact_jax.data.tracks import DRIVING, SOURCE, TRUTH
from reenact_jax.geometry.landmarks import box, denormalise, normalise

SSIM_SIGMA, SSIM_RADIUS = 1.5, 5  # Wang et al. 2004, section III.C: an 11 x 11 Gaussian window
SSIM_K1, SSIM_K2 = 0.01, 0.03  # the same section
AU_PRESENT = 0.2  # intensity from which an action unit is present, of 0..1


def l1(
    result: Float[AnyArray, 'b h w c'], truth: Float[AnyArray, 'b h w c']
) -> Float[AnyArray, ' b']:
    """Return the mean absolute difference over pixels and channels of [-1, 1] images: 0..2."""
    _same_shape(result, truth)
    return jnp.abs(result - truth).mean((1, 2, 3))


def mse(
    result: Float[AnyArray, 'b h w c'], truth: Float[AnyArray, 'b h w c']
) -> Float[AnyArray, ' b']:
    """Return the mean squared difference of the images scaled to [0, 1] (FACEGAN): 0..1."""
    _same_shape(result, truth)
    return ((result - truth) ** 2).mean((1, 2, 3)) / 4


def ssim(
    result: Float[AnyArray, 'b h w c'], truth: Float[AnyArray, 'b h w c']
) -> Float[AnyArray, ' b']:
    """Return the structural similarity (Wang et al. 2004, eq. 13), at most 1.

    The window is an 11 x 11 Gaussian of sigma 1.5. Images are scaled to [0, 1] (data range 1). The
    mean is over the places where the window fits and over the channels.

    Raises:
      UserError: a side is below 11 pixels.
    """
    _same_shape(result, truth)
    if min(truth.shape[1:3]) < 2 * SSIM_RADIUS + 1:
        raise UserError(f'SSIM needs images of at least 11 pixels a side, got {truth.shape[1:3]}')
    x, y = (result + 1) / 2, (truth + 1) / 2
    mean_x, mean_y = _window(x), _window(y)
    var_x, var_y = _window(x * x) - mean_x**2, _window(y * y) - mean_y**2
    covariance = _window(x * y) - mean_x * mean_y
    c1, c2 = SSIM_K1**2, SSIM_K2**2
    score = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    score = score / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
    return score.mean((1, 2, 3))


def point_error(
    result: Float[AnyArray, 'b n 2'], truth: Float[AnyArray, 'b n 2']
) -> Float[AnyArray, ' b']:
    """Return the mean distance of points, in % of the side of the ground truth's bounding box."""
    _same_shape(result, truth)
    distance = jnp.sqrt(((result - truth) ** 2).sum(-1)).mean(-1)
    return 100 * distance / (2 * box(truth)[1])


def ace(
    result: Float[AnyArray, 'b n 2'], truth: Float[AnyArray, 'b n 2'], size: int
) -> Float[AnyArray, ' b']:
    """Return FReeNet's ACE: the mean absolute error of a coordinate, in pixels at 256 x 256.

    With detected landmarks it is AKD (the first-order model's practice).

    Args:
      result: landmarks.
      truth: the ground truth's.
      size: side of the crop that the points are pixels of.
    """
    _same_shape(result, truth)
    return jnp.abs(result - truth).mean((1, 2)) * 256 / size


def similarity(a: Float[AnyArray, 'b n'], b: Float[AnyArray, 'b n']) -> Float[AnyArray, ' b']:
    """Return the cosine of vectors, 0 for a zero vector.

    It is CSIM (ISIM) with identity embeddings and PSIM with head angles.
    """
    _same_shape(a, b)
    size = jnp.linalg.norm(a, axis=-1) * jnp.linalg.norm(b, axis=-1)
    return jnp.where(size > 1e-12, (a * b).sum(-1) / jnp.maximum(size, 1e-12), 0.0)


def prmse(result: Float[AnyArray, 'b 3'], truth: Float[AnyArray, 'b 3']) -> Float[AnyArray, ' b']:
    """Return the root mean squared error of three head angles (AAN); radians in, degrees out."""
    _same_shape(result, truth)
    return jnp.degrees(jnp.sqrt(((result - truth) ** 2).mean(-1)))


def expression_distance(
    result: Float[AnyArray, 'b n'], truth: Float[AnyArray, 'b n'], known: Bool[AnyArray, 'b n']
) -> Float[AnyArray, ' b']:
    """Return ED: the L2 distance of action unit intensities 0..1, over those that are known.

    Divided by their number it is our `ed_mean`; the papers' figures differ by a factor of 20.
    """
    _same_shape(result, truth)
    return jnp.sqrt((((result - truth) ** 2) * known).sum(-1))


def au_agreement(
    result: Float[AnyArray, 'b n'],
    truth: Float[AnyArray, 'b n'],
    known: Bool[AnyArray, 'b n'],
    present: float = AU_PRESENT,
) -> Float[AnyArray, ' b']:
    """Return AUCON (AAN): the share of known action units that are present in both or in neither.

    Args:
      result: intensities 0..1.
      truth: those of the driver.
      known: which units are known.
      present: intensity from which a unit is present; OpenFace's practice, 1 of 5.
    """
    _same_shape(result, truth)
    alike = ((result >= present) == (truth >= present)) & known
    return alike.sum(-1) / jnp.maximum(known.sum(-1), 1)


def lsim(
    result: Float[AnyArray, 'b n 2'], truth: Float[AnyArray, 'b n 2'], size: int
) -> Float[AnyArray, ' b']:
    """Return FACEGAN's LSIM (section 5.3): mean squared error of landmarks; the image is [-1, 1].

    Args:
      result: landmarks.
      truth: the ground truth's.
      size: side of the image that the points are pixels of.
    """
    _same_shape(result, truth)
    return ((result - truth) ** 2).mean((1, 2)) * (2 / size) ** 2


def frechet(a: Float[np.ndarray, 'm n'], b: Float[np.ndarray, 'k n']) -> float:
    """Return the Frechet distance of two sets of features as Gaussians (Heusel et al. 2017, eq. 6).

    |mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2)), A and B the covariances. It depends on the
    number of samples; it is FID only with FID's own Inception features. NaN below two samples.
    """
    if min(len(a), len(b)) < 2:
        return float('nan')
    one, two = (np.cov(np.float64(x), rowvar=False).reshape(x.shape[1], -1) for x in (a, b))
    values, vectors = np.linalg.eigh(one)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    # The root of A B has the trace of the root of A^(1/2) B A^(1/2), which is symmetric.
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ two @ root), 0)).sum()
    shift = np.float64(a).mean(0) - np.float64(b).mean(0)
    return float(max(shift @ shift + np.trace(one) + np.trace(two) - 2 * cross, 0))


def identity_leak(
    result: Float[AnyArray, 'b n 2'],
    truth: Float[AnyArray, 'b n 2'],
    driver: Float[AnyArray, 'b n 2'],
) -> Float[AnyArray, ' b']:
    """Measure how much of the driver's face shape is in a transferred landmark set (ours).

    <l' - l*, l_drv - l*> / ||l_drv - l*||^2 with l* the exact ground truth: 0 is ideal, 1 is the
    driver's own shape. All three are in one frame of reference (`same_box` puts them there). It is
    0 where the driver equals the ground truth: there is nothing to leak.

    Args:
      result: transferred landmarks l'.
      truth: the ground truth's landmarks l*.
      driver: the driver's landmarks l_drv.
    """
    _same_shape(result, truth)
    _same_shape(driver, truth)
    difference = driver - truth
    square = (difference**2).sum((1, 2))
    along = ((result - truth) * difference).sum((1, 2))
    return jnp.where(square > 1e-12, along / jnp.maximum(square, 1e-12), 0.0)


def same_box(
    points: Float[AnyArray, 'b n 2'], reference: Float[AnyArray, 'b n 2']
) -> Float[AnyArray, 'b n 2']:
    """Move and scale points so that their square bounding box is the reference's.

    Shapes are compared so apart from where a placement rule puts them (`landmarks.place`).
    """
    return denormalise(normalise(points, *box(points)), *box(reference))


def cross_triples(
    pair: Int[np.ndarray, ' n'], role: Int[np.ndarray, ' n']
) -> Int[np.ndarray, 'p 3']:
    """Return record numbers (source, driving, truth) of every pair of a `gt_cross` split, in order.

    Args:
      pair: column of the split's index: number of the pair, from 0.
      role: column of the split's index, as in tracks.py.

    Raises:
      UserError: a pair is incomplete or has a role twice; the message names it.
    """
    triples = []
    for number in np.unique(pair[pair >= 0]):
        records = [np.flatnonzero((pair == number) & (role == code)) for code in _ROLES]
        for matches, name in zip(records, _ROLES.values(), strict=True):
            if len(matches) != 1:
                raise UserError(f'gt_cross pair {number}: {len(matches)} {name} tracks, expected 1')
        triples.append([int(matches[0]) for matches in records])
    return np.array(triples, np.int64).reshape(-1, 3)


_ROLES = {SOURCE: 'source', DRIVING: 'driving', TRUTH: 'truth'}


def _window(image: Float[AnyArray, 'b h w c']) -> Float[AnyArray, 'b h-10 w-10 c']:
    """Return the Gaussian-weighted local mean where the window fits, for each channel by itself."""
    offset = np.arange(-SSIM_RADIUS, SSIM_RADIUS + 1)
    weight = np.exp(-(offset**2) / (2 * SSIM_SIGMA**2))
    weight = jnp.asarray(weight / weight.sum(), image.dtype)
    b, h, w, c = image.shape
    flat = image.transpose(0, 3, 1, 2).reshape(b * c, 1, h, w)
    for kernel in (weight.reshape(1, 1, -1, 1), weight.reshape(1, 1, 1, -1)):
        flat = jax.lax.conv(flat, kernel, (1, 1), 'VALID', precision='highest')
    return flat.reshape(b, c, *flat.shape[2:]).transpose(0, 2, 3, 1)


def _same_shape(a, b) -> None:
    """Reject unequal shapes, which would broadcast to a wrong number without a word."""
    if a.shape != b.shape:
        raise ValueError(f'shapes differ: {a.shape} and {b.shape}')
