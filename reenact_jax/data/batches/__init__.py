"""Shards to batches: `Loader` makes pairs of different identities, `Reading` is its settings."""

from reenact_jax.data.batches.loader import Loader, Reading

__all__ = ['Loader', 'Reading']
