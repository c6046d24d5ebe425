"""Shards to batches: `Loader`, which makes pairs of strangers, and `Reading`, its settings."""

from reenact_jax.data.batches.loader import Loader, Reading

__all__ = ['Loader', 'Reading']
