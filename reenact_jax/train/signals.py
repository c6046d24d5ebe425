"""SIGTERM (or Ctrl-C), which ends a run after the step under way, with a checkpoint."""

import signal

import jax
from absl import logging
from jax.experimental import multihost_utils

STOPPED = 42  # exit code of a run that was told to stop and can be resumed


class Stop:
    """Whether to stop, asked between steps. In a run of several processes all of them agree.

    With one process the handler is ours; the second signal ends the process at once. With several,
    JAX's own service, which sees SIGTERM in any of them, says at which step all of them stop.
    """

    def __init__(self):
        self._told, self._before = False, {}
        self._several = jax.process_count() > 1
        if not self._several:
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._note)

    def __call__(self, step: int) -> bool:
        """Tell whether to stop before step number `step`, which grows over the whole run."""
        if self._several:
            return multihost_utils.reached_preemption_sync_point(step)
        return self._told

    def close(self) -> None:
        """Restore the handlers that were there before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame) -> None:
        del frame
        logging.warning('%s: stopping after this step', signal.Signals(number).name)
        self._told = True
        signal.signal(number, signal.SIG_DFL)
