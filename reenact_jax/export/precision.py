"""The cost of fewer bits for a bundle's weights, measured on noise that stands for a portrait."""

import jax
import numpy as np

from reenact_jax import bundle
from reenact_jax.export import live, programs
from reenact_jax.export.trained import Trained
from reenact_jax.geometry import layouts

FRAMES = 4  # driving frames of the measurement


def cost(generator: Trained, transfer: Trained | None, dtype: str) -> dict[str, float]:
    """Measure how much weights in `dtype` change images in [-1, 1].

    Returns:
      {'image_max', 'image_mean'}: the largest and mean difference; with a transfer also
      {'points_max'}, in pixels of the crop, or of another kind of motion {'motion_max'}, in its
      unit.
    """
    exact = live.assemble(generator, transfer)
    rough = live.assemble(_rounded(generator, dtype), transfer and _rounded(transfer, dtype))
    source, driving = noise(generator.points, generator.size, FRAMES)
    points = [one.transfer(one.identify(source), driving, source) for one in (exact, rough)]
    rendered = [one.render(one.encode(source), points[0]) for one in (exact, rough)]
    difference = np.abs(np.asarray(rendered[0]) - rendered[1])
    costs = {'image_max': float(difference.max()), 'image_mean': float(difference.mean())}
    if transfer is not None:
        name = 'points_max' if exact.motion == bundle.LANDMARKS else 'motion_max'
        costs[name] = float(np.abs(np.asarray(points[0]) - points[1]).max())
    return costs


def noise(points: str, size: int, frames: int) -> tuple[dict, dict]:
    """Draw a source and a driver with all fields; landmarks lie in the crop's middle half."""
    rng = np.random.default_rng(0)
    face = rng.uniform(0.25 * size, 0.75 * size, (frames, layouts.layout(points).count, 3))
    units = rng.uniform(0, 1, (frames, 20))
    known = {'landmarks': face[..., :2], 'landmarks3d': face, 'aus': units}
    known = {name: np.array(value, np.float32) for name, value in known.items()}
    known['aus_valid'] = np.ones_like(known['aus'])
    image = rng.uniform(-1, 1, (1, size, size, 3)).astype(np.float32)
    source = {'image': image} | {name: value[:1] for name, value in known.items()}
    known['image'] = rng.uniform(-1, 1, (frames, size, size, 3)).astype(np.float32)
    return source, known


def _rounded(part: Trained, dtype: str) -> Trained:
    """Return the model with weights that went through `dtype`."""
    part = programs.divided(part)
    flat = programs.stored(programs.flatten(part.variables), dtype)
    leaves = {name: array.astype(np.float32) for name, array in flat.items()}
    return part._replace(variables=jax.device_put(programs.restore(leaves, part.variables)))
