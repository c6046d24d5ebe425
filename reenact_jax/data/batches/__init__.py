"""Shards to batches: `Loader` makes pairs of different identities, `Reading` is its settings.

    loader       batches in order, resumable            partners     who may be paired with whom
    pairs        the shuffle of an epoch, pairs         similar      frames of similar action units
    examples     rows of a batch, decoded               pieces       the bytes of some frames
    preprocess   a raw batch as the networks take it, on the device

Rows 2i and 2i + 1 of a batch are a pair.
"""

from reenact_jax.data.batches.loader import Loader, Reading

__all__ = ['Loader', 'Reading']
