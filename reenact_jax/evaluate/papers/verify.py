"""Whether codes tell people apart: same / different area under the ROC curve, beside raw landmarks.

    reenact-jax evaluate verify --model out/ldnet --data data/faces --split test

Two frames of one person are compared with two of different people, by the Euclidean distance of
E_I's codes, and of the landmarks themselves in units of their box. 0.5 is chance. The people must
not have been in the training.
"""

import numpy as np

from reenact_jax.data.shards import ShardSet
from reenact_jax.evaluate.papers import codes, lmtest
from reenact_jax.evaluate.papers.labelled import read
from reenact_jax.export.trained import Trained

RAW = 'raw landmarks'


def measure(models: dict[str, Trained], part: ShardSet, pairs: int) -> dict[str, float]:
    """Measure how well codes tell people apart.

    Args:
      models: name -> model with codes.
      part: split of a shard set.
      pairs: pairs of each kind, same and different.

    Returns:
      Raw landmarks, each model and its untrained control -> AUC.

    Raises:
      UserError: a model has no codes, the point sets differ, or nobody has two frames.
    """
    frames = read(part, lmtest.point_set(models))
    values = {RAW: frames.shape.reshape(len(frames.shape), -1)}
    for name, model in lmtest.with_controls(models).items():
        values[name] = lmtest.latent(model, frames)['identity']
    return {
        name: codes.verification_auc(value, frames.identity, pairs)
        for name, value in values.items()
    }


def text(found: dict[str, float], part: ShardSet) -> str:
    """Write the table as Markdown."""
    people, frames = len(np.unique(part.identity)), part.frame_starts[-1]
    rows = [f'| {name} | {value:.3f} |' for name, value in found.items()]
    head = '| distance of | AUC same / different person |\n|---|---|'
    return f'{people} people, {frames} frames.\n\n{head}\n' + '\n'.join(rows)
