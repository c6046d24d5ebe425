"""What each action unit moves: every one swept from 0 to 1, by region of the face.

    reenact-jax evaluate units --model out/facegan --data data/heads

The first frame of every track is taken, with all other units as they are in it. The result is the
mean shift of a region's points between both ends, in % of the side of the face's box. A unit's own
region follows from the muscles that the Facial Action Coding System gives it. The people must be
new to the model.
"""

import jax
import numpy as np
from jaxtyping import Float

from reenact_jax.common.errors import UserError
from reenact_jax.data.shards import ShardSet
from reenact_jax.data.tracks import AU_NAMES, Face
from reenact_jax.evaluate.papers.labelled import Labelled, as_face, read
from reenact_jax.export.trained import Trained
from reenact_jax.geometry import layouts
from reenact_jax.systems.interface import member

REGIONS = {
    'brows': ('left_brow', 'right_brow'),
    'eyes': ('left_eye', 'right_eye'),
    'nose': ('nose_bridge', 'nose_base'),
    'mouth and jaw': ('outer_lips', 'inner_lips', 'jaw'),
}
_OWN = {'brows': (1, 2, 4), 'eyes': (5, 6, 7, 45), 'nose': (9,)}
OWN = {
    name: next((r for r, units in _OWN.items() if int(name[2:]) in units), 'mouth and jaw')
    for name in AU_NAMES
}


def measure(models: dict[str, Trained], part: ShardSet, most: int) -> dict:
    """Measure what each unit moves.

    Args:
      models: name -> model that action units drive.
      part: split of a shard set.
      most: most tracks.

    Returns:
      Model -> unit -> region -> shift in %.

    Raises:
      UserError: action units do not drive a model, or the data do not have them.
    """
    shifts = {}
    for name, model in models.items():
        if 'aus' not in member(model.module, 'DRIVEN_BY'):
            raise UserError(f'--model {name}: {model.system} is not driven by action units')
        frames = read(part, model.points)
        rows = part.frame_starts[:-1][:most]
        if not frames.aus_valid[rows, : len(AU_NAMES)].any():
            raise UserError(f'{part.directory}, split {part.split}: no action units are known')
        shifts[name] = _by_region(swept(model, frames, rows), model.points)
    return shifts


def swept(model: Trained, frames: Labelled, rows) -> Float[np.ndarray, 'u r n 2']:
    """Return the shift of every point from unit u at 0 to unit u at 1, in boxes of the source."""
    source = as_face(frames, rows)

    @jax.jit
    def at(source: Face, aus):
        driving = Face(source.landmarks, source.landmarks, None, aus, source.aus_valid)
        identity = model.module.identify(*model.model, source)
        return model.module.transfer(*model.model, identity, driving, driving)

    shifts = []
    for unit in range(len(AU_NAMES)):
        low, high = source.aus.copy(), source.aus.copy()
        low[:, unit], high[:, unit] = 0, 1
        shifts.append(np.asarray(at(source, high)) - np.asarray(at(source, low)))
    return np.stack(shifts)


def _by_region(shifts: Float[np.ndarray, 'u r n 2'], points: str) -> dict:
    """Average the shifts over the points of each region: unit -> region -> %."""
    size = np.linalg.norm(shifts, axis=-1).mean(1) / 2 * 100  # the box's side is 2
    parts = layouts.layout(points).parts
    places = {
        region: [i for name in names for i in parts[name]] for region, names in REGIONS.items()
    }
    return {
        unit: {region: float(size[u, at].mean()) for region, at in places.items()}
        for u, unit in enumerate(AU_NAMES)
    }


def text(found: dict) -> str:
    """Write a table for each model as Markdown; a unit's own region is in bold."""
    lines = []
    for name, units in found.items():
        right = sum(max(moved, key=moved.get) == OWN[unit] for unit, moved in units.items())
        lines += [f'{name}: {right} of {len(units)} move their own region most\n']
        lines += ['| unit | ' + ' | '.join(REGIONS) + ' |', '|---' * (len(REGIONS) + 1) + '|']
        for unit, moved in units.items():
            cells = [
                f'**{value:.2f}**' if region == OWN[unit] else f'{value:.2f}'
                for region, value in moved.items()
            ]
            lines.append(f'| {unit} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)
