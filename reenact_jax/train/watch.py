"""The host's eye on the metrics: which steps were applied, and when a run has failed."""

import numpy as np

from reenact_jax.common.errors import UserError
from reenact_jax.systems.interface import Stage
from reenact_jax.train.checkpoints.store import Store
from reenact_jax.train.step import State


class Watch:
    """Reader of the metrics of finished steps, which ends a run that keeps producing NaN."""

    def __init__(self, stage: Stage, state: State, limit: int, store: Store):
        """Begin to watch a stage.

        Args:
          state: the state at the start.
          limit: number of steps that may be skipped because of one player.
        """
        self._stage, self._limit, self._store = stage, limit, store
        self._skipped = {player: float(count) for player, count in state.skipped.items()}

    def __call__(self, step: int, metrics: dict) -> tuple[dict, np.ndarray]:
        """Read the metrics of the n steps up to `step`.

        Returns:
          Metrics [n] on the host, and which of the steps were applied.

        Raises:
          UserError: too many steps were skipped; names player, step and the last good checkpoint.
        """
        metrics = {name: np.asarray(value) for name, value in metrics.items()}
        count = len(next(iter(metrics.values())))
        applied = np.ones(count, bool)
        for player in self._stage.players:
            skipped = metrics[f'skipped/{player}']
            before = np.concatenate([[self._skipped[player]], skipped[:-1]])
            applied &= skipped == before
            self._skipped[player] = skipped[-1]
            if skipped[-1] > self._limit:
                first = step - count + 1 + int(np.argmax(skipped > self._limit))
                raise UserError(self._message(player, first))
        return metrics, applied

    def _message(self, player: str, step: int) -> str:
        """Describe the failure and what to do."""
        self._store.wait()
        last = self._store.last
        kept = f'{last.stage}, step {last.step}' if last else 'none'
        return (
            f'stage {self._stage.name}, step {step}: player {player} has a loss or gradient that '
            f'is NaN or infinite, for more than config.nan_limit = {self._limit} steps, none of '
            f'which was applied; last good checkpoint: {kept}; lower the learning rate or use '
            'config.dtype=float32'
        )
