"""Measured against held-out people: self-reenactment, and cross-reenactment with exact truth.

- **Self**: the first frame of a track is the source, its other frames drive and are the truth.
- **GT-cross** (ours): a track of the source, a driver of another identity, and the truth: the
  source's person rendered with the driver's motion. Only synthetic tracks have it. The transferred
  face is put into the truth's bounding box, for every method alike: it is the face that is scored,
  not the rule that places it.

Every method is scored on the same frames, beside the copy of the source and beside the source
warped by the very landmarks that the model gets; in GT-cross the landmarks beside additive rules.
Frames are compared before video encoding, at the model's size.
"""

from typing import NamedTuple

import jax
import numpy as np
import simplejpeg
from jaxtyping import Float
from tqdm import tqdm

from reenact_jax import images, metrics, portraits
from reenact_jax.bundle import Bundle
from reenact_jax.errors import UserError
from reenact_jax.evaluate.baselines import COPY, WARP, additive, copies, landmark_warp
from reenact_jax.shards import ShardSet
from reenact_jax.tracks import Track

ROWS = 8  # frames in one call of the model
_IMAGE_METRICS = {'l1': jax.jit(metrics.l1), 'ssim': jax.jit(metrics.ssim)}


class Scores(NamedTuple):
    """Method -> metric -> one value a frame."""

    values: dict[str, dict[str, Float[np.ndarray, ' f']]]
    frames: int
    people: int

    def mean(self, method: str, metric: str) -> float | None:
        """The mean over all frames; None when the method has no such metric."""
        found = self.values[method].get(metric)
        return None if found is None else float(np.mean(found))


def self_reenactment(bundle: Bundle, part: ShardSet, transfers: list[str], most: int) -> Scores:
    """Scores on at most `most` tracks, evenly spread; L1 and SSIM.

    Raises UserError when no track has two frames.
    """
    kept: dict = {}
    records = usable(part, most)
    for record in tqdm(records, unit='track', desc='self-reenactment'):
        source, truth = source_and_truth(part.track(record), bundle)
        _score_copy(kept, source, truth)
        for name in transfers:
            driven = _driven(bundle.using(name), source, truth, source)
            _score(kept, bundle, name, source, driven, truth)
    return _scores(kept, part, records)


def usable(part: ShardSet, most: int) -> list[int]:
    """At most `most` records of two frames and more. Raises UserError when there are none."""
    records = [r for r in _spread(len(part), most) if part.columns.frames[r] > 1]
    if not records:
        raise UserError(f'{part.directory}, {part.split}: no track with two frames')
    return records


def source_and_truth(track: Track, bundle: Bundle) -> tuple[dict, dict]:
    """A track's first frame, and its others."""
    return _face(track, bundle, slice(0, 1)), _face(track, bundle, slice(1, None))


def gt_cross(bundle: Bundle, part: ShardSet, transfers: list[str], most: int) -> Scores:
    """Scores on at most `most` pairs: L1, SSIM, and of the landmarks point error and identity leak.

    Raises UserError when the split has no pairs.
    """
    triples = metrics.cross_triples(part.columns.pair, part.columns.role)
    if not len(triples):
        raise UserError(f'{part.directory}, {part.split}: no pairs with their truth')
    triples = triples[_spread(len(triples), most)]
    kept: dict = {}
    for records in tqdm(triples, unit='pair', desc='GT-cross'):
        source, every, driver, truth = _triple(part, records, bundle)
        _score_copy(kept, source, truth)
        shape = metrics.same_box(driver['landmarks'], truth['landmarks'])
        first = {name: value[:1] for name, value in driver.items()}
        for name in transfers:
            driven = _driven(bundle.using(name), source, driver, first)
            driven = metrics.same_box(driven, truth['landmarks'])
            method = _score(kept, bundle, name, source, driven, truth)
            _keep_points(kept, method, driven, truth['landmarks'], shape)
        for name, driven in additive(every['landmarks'], driver['landmarks']).items():
            _keep_points(kept, name, driven, truth['landmarks'], shape)
    return _scores(kept, part, triples[:, 0])


def _triple(part: ShardSet, records, bundle: Bundle):
    """A pair's source: first frame, and all without pictures; so its driver; the truth."""
    source, driver, truth = (part.track(int(record)) for record in records)
    if driver.frames != truth.frames:
        raise UserError(
            f'{part.where(int(records[2]))}: {truth.frames} frames, its driver has {driver.frames}'
        )
    return (
        _face(source, bundle, slice(0, 1)),
        portraits.faces_of(source, bundle.size, bundle.points),
        portraits.faces_of(driver, bundle.size, bundle.points),
        _face(truth, bundle, slice(None)),
    )


def _face(track: Track, bundle: Bundle, frames: slice) -> dict:
    decoded = np.stack([simplejpeg.decode_jpeg(one) for one in track.image[frames]])
    image = np.asarray(images.resize(images.to_float(decoded), bundle.size))
    known = portraits.faces_of(track, bundle.size, bundle.points)
    return {'image': image} | {name: value[frames] for name, value in known.items()}


def _driven(bundle: Bundle, source: dict, driving: dict, first) -> Float[np.ndarray, 't n 2']:
    """Transferred landmarks of all driving frames."""
    identity = bundle.identify(source)
    driving = {name: driving[name] for name in bundle.driven_by}
    return _in_rows(lambda rows: bundle.transfer(identity, rows, first), driving)


def rendered(bundle: Bundle, source: dict, points) -> Float[np.ndarray, 't h w 3']:
    """The source with landmarks [t, n, 2]."""
    appearance = bundle.encode(source)
    return np.clip(_in_rows(lambda rows: bundle.render(appearance, rows), points), -1, 1)


def _in_rows(function, tree) -> np.ndarray:
    """`function` over `ROWS` rows of arrays at a time, the last ones padded: one compilation."""
    made, count = [], len(jax.tree.leaves(tree)[0])
    for start in range(0, count, ROWS):
        here = min(ROWS, count - start)
        # Rows past the end repeat the last one.
        places = np.minimum(np.arange(start, start + ROWS), count - 1)
        padded = jax.tree.map(lambda array, at=places: np.asarray(array)[at], tree)
        made.append(jax.device_get(function(padded))[:here])
    return np.concatenate(made)


def _score_copy(kept: dict, source: dict, truth: dict) -> None:
    keep_images(
        kept, COPY, image=copies(source['image'][0], len(truth['image'])), truth=truth['image']
    )


def _score(kept: dict, bundle: Bundle, transfer: str, source: dict, driven, truth: dict) -> str:
    """Scores the model and the warp with the same landmarks; the model's name in the table."""
    warped = landmark_warp(source['image'][0], source['landmarks'][0], driven)
    keep_images(kept, f'{transfer} + {WARP}', image=warped, truth=truth['image'])
    method = f'{transfer} + {bundle.card["generator"]["system"]}'
    keep_images(kept, method, image=rendered(bundle, source, driven), truth=truth['image'])
    return method


def keep_images(kept: dict, method: str, image, truth) -> None:
    """Adds the scores of images [t, h, w, 3] to those of a method."""
    of_method = kept.setdefault(method, {})
    for name in ('l1', 'ssim'):
        score = _in_pairs(_IMAGE_METRICS[name], image, truth)
        of_method.setdefault(name, []).append(score)


def _keep_points(kept: dict, method: str, points, truth, driver) -> None:
    """Scores landmarks in the truth's box, where the driver's are already."""
    points = metrics.same_box(points, truth)
    of_method = kept.setdefault(method, {})
    of_method.setdefault('point_error', []).append(metrics.point_error(points, truth))
    of_method.setdefault('identity_leak', []).append(metrics.identity_leak(points, truth, driver))


def _in_pairs(function, a, b) -> np.ndarray:
    both = np.stack([a, b], 1)
    return _in_rows(lambda rows: function(rows[:, 0], rows[:, 1]), both)


def _scores(kept: dict, part: ShardSet, records) -> Scores:
    values = {
        method: {name: np.concatenate(rows) for name, rows in found.items()}
        for method, found in kept.items()
    }
    frames = len(values[COPY]['l1'])
    return Scores(values, frames, len(np.unique(part.identity[np.asarray(records)])))


def _spread(count: int, most: int) -> list[int]:
    return [int(i) for i in np.linspace(0, count - 1, min(count, most)).round()]
