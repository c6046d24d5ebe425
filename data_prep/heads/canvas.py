"""The chart of the skin at the texture's resolution, and layers of paint on it."""

import numpy as np

from reenact_jax.data_prep.heads import noise
from reenact_jax.data_prep.heads.anatomy import Measures
from reenact_jax.data_prep.heads.compiled import compiled
from reenact_jax.data_prep.heads.identity import Identity
from reenact_jax.data_prep.heads.surface import Surface, step

FINE = 4  # texels a grid cell


class Canvas:
    """The chart upsampled to texels, and layers of paint."""

    def __init__(self, surface: Surface, m: Measures, who: Identity):
        fine = lambda a: _upsample(a.astype(np.float32), FINE)  # noqa: E731
        self.x, self.y, self.z = (fine(surface.points[..., k]) for k in range(3))
        self.space = np.stack([self.x, self.y, self.z], -1).reshape(-1, 3)
        self.lip = fine(_continuous(surface))
        self.front = step(1.0, 4.5, self.z) * step(-14.0, -12.0, self.y)
        self.ax = np.abs(self.x)
        self.rgb = np.ones((*self.x.shape, 3), np.float32)
        self.gloss = np.ones(self.x.shape, np.float32)
        self.m, self.who = m, who

    def noise(self, size, seed):
        return noise.lattice(self.space, size, seed).reshape(self.x.shape)

    def dots(self, size, share, k):
        """Draw round spots 0..1 on the front alone, where they show: `noise.spots` costs most."""
        seen = self.front > 0.02
        out = np.zeros(self.x.shape, np.float32)
        out[seen] = noise.spots(self.space[seen.ravel()], size, share, 10 * self.who.seed + k)
        return out

    def spot(self, x, y, sx, sy):
        """Draw a soft spot on both sides of the face."""
        side = np.exp(-(((self.ax - x) / sx) ** 2)) if x else np.exp(-((self.x / sx) ** 2))
        return side * np.exp(-(((self.y - y) / sy) ** 2)) * self.front

    def tint(self, weight, colour):
        """Multiply by `colour` where `weight` is 1."""
        _multiply(self.rgb, np.ascontiguousarray(weight), np.asarray(colour, np.float32))

    def cover(self, weight, colour):
        """Replace by `colour` where `weight` is 1."""
        w = np.clip(weight, 0, 1)[..., None].astype(np.float32)
        self.rgb += w * (np.asarray(colour, np.float32) - self.rgb)


@compiled
def _multiply(rgb, weight, colour):
    for y in range(rgb.shape[0]):
        for x in range(rgb.shape[1]):
            w = min(1.0, max(0.0, weight[y, x]))
            for k in range(3):
                rgb[y, x, k] *= 1 + w * (colour[k] - 1)


def _continuous(surface: Surface):
    """Compute height over the mouth line; a tiny step separates the six rows of the slit."""
    lip = surface.lip.copy()
    for k, value in enumerate((0.0, 0.0, -0.004, 0.004, 0.0, 0.0)):
        lip[surface.slit + k] = value
    return lip


def _upsample(a: np.ndarray, n: int) -> np.ndarray:
    """Upsample bilinearly, [r, c] -> [(r - 1) n + 1, (c - 1) n + 1]."""
    for axis in (0, 1):
        a = np.moveaxis(a, axis, 0)
        t = np.arange((len(a) - 1) * n + 1) / n
        i = np.minimum(t.astype(int), len(a) - 2)
        f = (t - i).astype(np.float32)[:, None]
        a = np.moveaxis(a[i] * (1 - f) + a[i + 1] * f, 0, axis)
    return a
