"""A stage of training as data: who moves what, by which losses and optimisers, for how long."""

from collections.abc import Callable
from typing import NamedTuple

import optax

from reenact_jax.common.errors import UserError


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
    neighbour: str = 'other_identity'  # a rule for partners: batches.loader.NEIGHBOURS


def check(stage: Stage, nets: dict) -> None:
    """Refuses a stage that could not run as it is written. Raises UserError naming stage and fault.

    Every player has an optimiser and networks that exist, no network has two players, `ema` names
    networks that move.
    """
    owner = {}
    for player, letters in stage.players.items():
        if player not in stage.tx:
            raise UserError(f'stage {stage.name}: player {player} has no optimiser in tx')
        if not letters:
            raise UserError(f'stage {stage.name}: player {player} moves no network')
        for letter in letters:
            if letter not in nets:
                raise UserError(f'stage {stage.name}: player {player}: no network {letter!r}')
            if letter in owner:
                raise UserError(
                    f'stage {stage.name}: network {letter} belongs to two players, '
                    f'{owner[letter]} and {player}'
                )
            owner[letter] = player
    for player in stage.tx:
        if player not in stage.players:
            raise UserError(f'stage {stage.name}: tx names {player}, which is not a player')
    for letter in stage.ema:
        if letter not in owner:
            raise UserError(f'stage {stage.name}: ema names {letter}, which no player moves')


def check_rows(stage: Stage, rows: int, devices: int, accumulate: int = 1) -> None:
    """Refuses a batch that does not give every device and microbatch an even number of rows.

    Rows 2i and 2i + 1 are partners and must not be parted. Raises UserError.
    """
    unit = 2 * devices * accumulate
    if rows < 2 or rows % unit:
        raise UserError(
            f'config.batch_size: stage {stage.name} has {rows} rows a step; {devices} device(s) x '
            f'accumulate {accumulate} x 2 partners need a multiple of {unit}'
        )


def moving(stage: Stage) -> list[str]:
    """Letters of the networks that some player moves."""
    return [letter for letters in stage.players.values() for letter in letters]
