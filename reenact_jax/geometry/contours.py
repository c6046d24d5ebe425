"""From points whose jaw follows the silhouette (68c) to points on the surface (68), over a film.

The sets differ in the jaw of a turned head alone: as the head turns, the silhouette slides over the
cheeks. The frame in which a head looks straightest shows where its jaw's points lie; in the others
that jaw is turned with the head, and drops as far as the chin does.
"""

import numpy as np
from jaxtyping import Float

from reenact_jax.geometry import frames, layouts

_LAYOUT = layouts.layout('68c')
_JAW = np.array(_LAYOUT.parts['jaw'])
_CHIN = _JAW[len(_JAW) // 2]


def on_surface(points: Float[np.ndarray, 't 68 3']) -> Float[np.ndarray, 't 68 3']:
    """Put the jaw's points on the surface (ours).

    Args:
      points: of the set 68c, of one head. Without depth (a face in a plane) nobody can tell how the
        head turns: they are returned as they are. Frames with NaN stay so.

    Returns:
      The points as the set 68.
    """
    points = np.asarray(points, np.float64)
    seen = np.flatnonzero(np.isfinite(points).all((1, 2)))
    result = points.astype(np.float32)
    if not len(seen) or any(frames.is_flat(points[i], _LAYOUT) for i in seen[:1]):
        return result
    turns = np.stack([frames.axes(points[i], _LAYOUT, flat=False) for i in seen])
    straight = points[seen[frames.degrees(turns).argmin()]]
    rigid = frames.rigid(_LAYOUT)
    fitted = frames.fit(points[seen][:, rigid], straight[rigid])
    around = straight[_JAW] - straight[rigid].mean(0)
    chin = (points[seen, _CHIN] - fitted.centre) / fitted.scale[:, None]
    drop = np.einsum('tij,ti->tj', fitted.turn, chin) - around[len(_JAW) // 2]
    drop[:, 0] = 0  # to the side the silhouette's chin slides
    height = around[:, 1] - around[[0, -1], 1].mean()
    share = np.clip(height / max(height.max(), 1e-9), 0, 1)
    jaw = around + share[:, None] * drop[:, None]
    turned = np.einsum('tij,tnj->tni', fitted.turn, jaw) * fitted.scale[:, None, None]
    result[np.ix_(seen, _JAW)] = turned + fitted.centre[:, None]
    return result
