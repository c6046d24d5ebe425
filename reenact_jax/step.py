"""The n-player step: one forward pass, one vjp, every player its own gradient. Knows no paper."""

from collections.abc import Callable
from typing import NamedTuple

import optax


class Stage(NamedTuple):
    """One row of a paper's training table, as data."""

    name: str
    players: dict[str, tuple[str, ...]]  # player -> networks (letters) it moves; others are frozen
    losses: Callable  # (apply, constants, batch, rng) -> ({player: scalar}, {metric: scalar})
    tx: dict[str, optax.GradientTransformation]  # player -> optimiser with its schedule; fresh
    steps: int
    batch_size: int
    ema: tuple[str, ...] = ()  # networks averaged, their running statistics too
    reads: tuple[str, ...] = ('landmarks', 'identity')  # Batch fields the loader must bring
    frames: int = 2  # K
    neighbour: str = 'other_identity'  # or 'same_expression'
