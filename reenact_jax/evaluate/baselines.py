"""Images that need no training: a copy of the source, the source warped by landmarks."""

import jax
import numpy as np
from jaxtyping import Float
from scipy.ndimage import map_coordinates
from scipy.spatial import Delaunay

from reenact_jax.evaluate import cases
from reenact_jax.geometry import flows, folds, images, layouts

COPY = 'copy of the source'
WARP = 'landmark warp'
PRIOR = 'untrained prior'


def copies(image: Float[np.ndarray, 'h w c'], count: int) -> Float[np.ndarray, 't h w c']:
    """Return the source, whatever the driver does."""
    return np.repeat(image[None], count, 0)


def landmark_warp(
    image: Float[np.ndarray, 'h w c'],
    source: Float[np.ndarray, 'n 2'],
    driving: Float[np.ndarray, 't n 2'],
) -> Float[np.ndarray, 't h w c']:
    """Move the source's pixels with its landmarks: a piecewise affine warp.

    The triangles are Delaunay's between the driving points; the image's corners and the middles of
    its sides stay where they are (ours).

    Args:
      image: the source.
      source: its landmarks, pixels, (0, 0) the image's corner.
      driving: where they go, likewise.
    """
    height, width, _ = image.shape
    fixed = [(x, y) for x in (0, 0.5, 1) for y in (0, 0.5, 1) if (x, y) != (0.5, 0.5)]
    fixed = np.array(fixed) * [width, height]
    rows, columns = np.mgrid[:height, :width]
    pixels = np.stack([columns.ravel(), rows.ravel()], 1) + 0.5
    start = np.concatenate([source, fixed])
    return np.stack(
        [_warped(image, start, np.concatenate([end, fixed]), pixels) for end in driving]
    )


def prior_warp(
    image: Float[np.ndarray, 'h h c'],
    source: Float[np.ndarray, 'n 2'],
    driving: Float[np.ndarray, 't n 2'],
) -> Float[np.ndarray, 't h h c']:
    """Move the source's pixels by the flow that its landmarks ask for: `flows.landmark_flow`.

    A generator with such a prior starts from this flow. Sampling is bilinear, and the border is
    repeated.

    Args:
      image: the source.
      source: its landmarks, pixels, (0, 0) the image's corner.
      driving: where they go, likewise.
    """
    return cases.in_rows(lambda rows: _by_flow(image, source, rows), driving)


@jax.jit
def _by_flow(image, source, driving):
    rows, size = len(driving), image.shape[0]
    source, image = (jax.numpy.repeat(one[None], rows, 0) for one in (source, image))
    opens = tuple(folds.of_layout(layouts.of_count(driving.shape[1])).values())
    return images.warp(image, flows.landmark_flow(source, driving, size, size, folds=opens))


def _warped(image, start, end, pixels) -> Float[np.ndarray, 'h w c']:
    """Move the points `start` of an image to `end`, sampled bilinearly, its border repeated."""
    mesh = Delaunay(end)
    triangle = mesh.find_simplex(pixels)
    affine = mesh.transform[triangle]
    first = np.einsum('pij,pj->pi', affine[:, :2], pixels - affine[:, 2])
    weights = np.concatenate([first, 1 - first.sum(1, keepdims=True)], 1)
    corners = start[mesh.simplices[triangle]]
    places = np.einsum('pi,pij->pj', weights, corners)[:, ::-1].T - 0.5  # row, column
    channels = [
        map_coordinates(channel, places, order=1, mode='nearest')
        for channel in np.moveaxis(image, -1, 0)
    ]
    return np.stack(channels, -1).reshape(image.shape).astype(image.dtype)
