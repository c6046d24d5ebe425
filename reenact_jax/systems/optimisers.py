"""Optimisers with their schedules. The learning rate can be read in the optimiser's state."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import optax

SCHEDULES = ('constant', 'cosine', 'late_linear', 'early_linear', 'staircase')
FALLS = (0.3, 0.6, 0.9)


def adam(
    learning_rate: float,
    steps: int,
    schedule: str = 'constant',
    b1: float = 0.9,
    b2: float = 0.999,
    falls: tuple[float, ...] = FALLS,
) -> optax.GradientTransformation:
    """Make Adam with a schedule.

    The state holds `hyperparams['learning_rate']`, the rate of the last update.

    Args:
      learning_rate: at the start.
      steps: length of the schedule, updates.
      schedule: `constant`; `cosine`: falls to 0 over `steps`; `late_linear`: constant for the first
        half of the steps, then linear to 0; `early_linear`: constant for 4/11 of them, then linear
        to 0 (FReeNet's code: after 40 of 110 epochs); `staircase`: divided by ten at each of
        `falls`.
      b1, b2: decay of the first and the second moment.
      falls: shares of the steps; FReeNet, section 4.1: every 300 of 1,000 and every 120 of 400
        epochs.
    """
    rate = _rate(learning_rate, steps, schedule, falls)
    return optax.inject_hyperparams(optax.adam)(rate, b1=b1, b2=b2)


def rmsprop(
    learning_rate: float, steps: int, schedule: str = 'constant', decay: float = 0.99
) -> optax.GradientTransformation:
    """Make RMSprop without momentum; schedule and state are as in `adam`.

    Epsilon is PyTorch's 1e-8 and is added to the root, as there: optax's default adds it below the
    root, where it acts as 1e-4 and all but stops weights with smaller gradients.
    """
    rate = _rate(learning_rate, steps, schedule)
    rmsprop = optax.inject_hyperparams(optax.rmsprop, static_args=('eps_in_sqrt',))
    return rmsprop(rate, decay=decay, eps=1e-8, eps_in_sqrt=False)


def _rate(
    learning_rate: float, steps: int, schedule: str, falls: tuple[float, ...] = FALLS
) -> optax.Schedule:
    """Return the schedule of that name."""
    if schedule == 'cosine':
        return optax.cosine_decay_schedule(learning_rate, max(steps, 1))
    if schedule in ('late_linear', 'early_linear'):
        stays = steps // 2 if schedule == 'late_linear' else steps * 4 // 11
        return optax.linear_schedule(learning_rate, 0.0, max(steps - stays, 1), stays)
    if schedule == 'staircase':
        return optax.piecewise_constant_schedule(
            learning_rate, {math.ceil(steps * part): 0.1 for part in falls}
        )
    return optax.constant_schedule(learning_rate)


def learning_rate(tx: optax.GradientTransformation, step: int) -> float:
    """Return the rate that an optimiser of this file uses at `step` (counted from 0)."""
    weight = jnp.zeros(())
    state: Any = tx.init(weight)
    at = jax.tree.map(lambda count: jnp.full_like(count, step), state.hyperparams_states)
    _, state = tx.update(weight, state._replace(hyperparams_states=at), weight)
    return float(state.hyperparams['learning_rate'])
