"""What a background mixer (FACEGAN's G_b) adds, in self-reenactment.

    reenact-jax evaluate mixing --model out/facegan --data data/heads

The first frame of a track is the source; the landmarks of its other frames drive, and those frames
are the ground truth. `result` is I_r. `pasted` is the driven face over the source's image,
S_fr * I_fr + (1 - S_fr) * I_s, which leaves the source's own head where the driven one does not
cover it. The mask M says where the image is drawn rather than kept; its mean is given on background
that both frames show, and on the driven head. The masks must be known (those of synthetic heads
are). Frames are scored at the model's size.
"""

import io

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8
from PIL import Image
from tqdm import tqdm

from reenact_jax.common.errors import UserError
from reenact_jax.data.shards import ShardSet
from reenact_jax.data.tracks import BACKGROUND, FACE, HAIR, UNKNOWN, Face, Track
from reenact_jax.evaluate import cases, metrics
from reenact_jax.export.trained import Trained
from reenact_jax.systems.interface import member

HEADINGS = {
    'result': 'L1 of the result',
    'pasted': 'L1 pasted',
    'copy': 'L1 of a copy',
    'background': 'M on shared background',
    'head': 'M on the head',
}


def measure(models: dict[str, Trained], part: ShardSet, most: int) -> dict[str, dict[str, float]]:
    """Measure the mixer of each model.

    Args:
      models: name -> model with a mixer.
      part: split of a shard set.
      most: most tracks.

    Returns:
      Model -> {'result', 'pasted', 'copy': L1 of whole frames; 'background', 'head': mean of M}.

    Raises:
      UserError: a model has no mixer, or the masks of the data are unknown.
    """
    means = {}
    for name, model in models.items():
        if member(model.module, 'pieces') is None or 'G_b1' not in model.nets:
            raise UserError(f'--model {name}: {model.system} has no trained background mixer')
        score = _scorer(model)
        scores: list[dict] = []
        for record in tqdm(cases.usable(part, most), unit='track', desc=name, disable=None):
            track = part.track(record)
            classes = segmentation(track, model.size)
            if (classes == UNKNOWN).all():
                raise UserError(f'{part.where(record)}: its masks are unknown, nothing to compare')
            source, truth = cases.source_and_truth(track, model.size, model.points)
            scores.append(score(source, truth, classes))
        means[name] = {
            key: float(np.concatenate([rows[key] for rows in scores]).mean()) for key in HEADINGS
        }
    return means


def _scorer(model: Trained):
    """Return a function (source, truth, classes) -> {metric: one value per driven frame}."""

    @jax.jit
    def score(source: dict, classes, rows: dict) -> dict:
        face = Face(source['image'], source['landmarks'], segmentation=classes)
        appearance = model.module.encode(*model.model, face)
        made = model.module.pieces(*model.model, appearance, rows['landmarks'])
        still = jnp.broadcast_to(source['image'], rows['image'].shape)
        shared = (classes == BACKGROUND) & (rows['classes'] == BACKGROUND)
        head = (rows['classes'] == FACE) | (rows['classes'] == HAIR)
        return {
            'result': metrics.l1(made['result'], rows['image']),
            'pasted': metrics.l1(made['face'] + (1 - made['share']) * still, rows['image']),
            'copy': metrics.l1(still, rows['image']),
            'background': _mean(made['mask'], shared),
            'head': _mean(made['mask'], head),
        }

    def in_rows(source: dict, truth: dict, classes) -> dict:
        given, rows = ({k: face[k] for k in ('image', 'landmarks')} for face in (source, truth))
        rows['classes'] = classes[1:]
        return cases.in_rows(lambda x: score(given, classes[:1], x), rows)

    return in_rows


def _mean(mask: Float[Array, 'b s s 1'], where: Array) -> Float[Array, ' b']:
    """Return the mean of a mask over a region."""
    return (mask[..., 0] * where).sum((1, 2)) / jnp.maximum(where.sum((1, 2)), 1)


def segmentation(track: Track, size: int) -> UInt8[np.ndarray, 't s s']:
    """Return the classes of a track's frames at a size; `UNKNOWN` where none are stored."""
    planes = []
    for data in track.segmentation:
        if data:
            with Image.open(io.BytesIO(data), formats=['PNG']) as image:
                planes.append(np.asarray(image.resize((size, size), Image.Resampling.NEAREST)))
        else:
            planes.append(np.full((size, size), UNKNOWN, np.uint8))
    return np.stack(planes)


def text(found: dict[str, dict[str, float]]) -> str:
    """Write the results as a Markdown table."""
    lines = [
        '| model | ' + ' | '.join(HEADINGS.values()) + ' |',
        '|---' * (len(HEADINGS) + 1) + '|',
    ]
    for name, row in found.items():
        lines.append(f'| {name} | ' + ' | '.join(f'{row[key]:.4f}' for key in HEADINGS) + ' |')
    return '\n'.join(lines)
