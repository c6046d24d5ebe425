"""What a generator takes from its reference image (FReeNet's figure 8, as numbers).

    reenact-jax evaluate references --model BUNDLE --data SHARDS

Every track's own landmarks are rendered with four references: its first frame, another person, a
black image, Gaussian noise. The track's frames are the ground truth. A generator that draws the
person from the landmarks alone scores alike with all four. One that takes appearance from the
reference loses the person with the last two; the more it loses, the better it keeps both apart.
"""

import numpy as np
from tqdm import tqdm

from reenact_jax.bundle import Bundle
from reenact_jax.common.errors import UserError
from reenact_jax.data.shards import ShardSet
from reenact_jax.evaluate import cases, measures, methods

KINDS = ('its own', 'another person', 'black', 'noise')
NOISE = 0.5  # standard deviation, for images in [-1, 1]


def measure(
    bundle: Bundle, part: ShardSet, most: int, seed: int = 0
) -> dict[str, dict[str, float]]:
    """Score results with each kind of reference.

    Args:
      bundle: the model.
      part: split of a shard set.
      most: most tracks.
      seed: random seed of other people and of noise.

    Returns:
      Reference -> {'l1', 'mse', 'ssim'}, means over the frames.

    Raises:
      UserError: no track has two frames, or the set has one person.
    """
    records = cases.usable(part, most)
    if part.people < 2:
        raise UserError(f'{part.directory}, {part.split}: one person; references need another')
    rng = np.random.default_rng(seed)
    scores_of: dict = {kind: [] for kind in KINDS}
    size = bundle.size, bundle.points
    for record in tqdm(records, unit='track', desc='references'):
        source, truth = cases.source_and_truth(part.track(record), *size)
        others = np.flatnonzero(part.identity != part.identity[record])
        other = cases.face(part.track(int(rng.choice(others))), [0], *size)
        noise = np.clip(rng.normal(0, NOISE, source['image'].shape), -1, 1).astype(np.float32)
        images = dict(zip(KINDS, (source['image'], None, -np.ones_like(noise), noise), strict=True))
        for kind, image in images.items():
            reference = other if image is None else source | {'image': image}
            result = methods.rendered(bundle, reference, truth['landmarks'])
            scores_of[kind].append(measures.of_images(result, truth['image']))
    return {
        kind: {name: float(np.concatenate([row[name] for row in rows]).mean()) for name in rows[0]}
        for kind, rows in scores_of.items()
    }


def text(found: dict[str, dict[str, float]]) -> str:
    """Write the results as a Markdown table."""
    lines = ['| reference | L1, of 0..2 | SSIM |', '|---|---|---|']
    lines += [f'| {kind} | {row["l1"]:.4f} | {row["ssim"]:.3f} |' for kind, row in found.items()]
    return '\n'.join(lines)
