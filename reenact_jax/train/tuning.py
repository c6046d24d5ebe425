"""What a run changes in a system's stages: frozen networks, and learning rates by factors."""

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import optax

from reenact_jax.common.errors import UserError
from reenact_jax.systems.interface import Stage, moving


def names(values: Iterable[str]) -> tuple[str, ...]:
    """Split names at commas: `--config.freeze=E_a,FEN` arrives as one text."""
    split = [name.strip() for value in values for name in value.split(',')]
    return tuple(dict.fromkeys(name for name in split if name))


def factors(text: str) -> dict[str, float]:
    """Read `NAME=FACTOR,NAME=FACTOR`.

    Raises:
      UserError: the text has another form, or a factor is not a number above 0.
    """
    found = {}
    for part in names([text]):
        name, sign, number = (word.strip() for word in part.partition('='))
        try:
            factor = float(number)
        except ValueError:
            factor = math.nan
        if not (sign and name) or not math.isfinite(factor):
            raise UserError(
                f'config.rate_factors: {part!r} is not NAME=FACTOR, such as FEN=0.1,D=2'
            )
        if factor <= 0:
            raise UserError(
                f'config.rate_factors: {part!r}: must be above 0; config.freeze={name} stops a '
                'network'
            )
        found[name] = factor
    return found


def check(
    stages: Iterable[Stage], nets: Mapping, frozen: Iterable[str], rates: Iterable[str]
) -> None:
    """Reject names of no network, or, of rates, of no network and no player.

    Raises:
      UserError: a name is unknown; the message has near ones.
    """
    players = [player for stage in stages for player in stage.players]
    for field, given, known in (
        ('freeze', frozen, list(nets)),
        ('rate_factors', rates, list(dict.fromkeys([*nets, *players]))),
    ):
        for name in given:
            if name not in known:
                raise UserError(f'config.{field}: no network {name!r}; {near(name, known)}')


def near(name: str, known: Iterable[str]) -> str:
    """Say which names are like an unknown one, or which there are."""
    known = list(known)
    close = difflib.get_close_matches(name, known, 3, cutoff=0.5)
    return f'did you mean {" or ".join(close)}?' if close else f'there are {", ".join(known)}'


def tuned(stage: Stage, frozen: tuple[str, ...], rates: Mapping[str, float]) -> Stage:
    """Return a stage in which networks stay as they are, and learning rates have factors.

    A frozen network has no optimiser state, and its statistics stay too. A player without a network
    that moves is no player. A network's own factor counts before its player's.

    Args:
      stage: of the system.
      frozen: networks that do not move.
      rates: network or player -> factor of the learning rate.
    """
    left = {p: tuple(n for n in own if n not in frozen) for p, own in stage.players.items()}
    players = {player: own for player, own in left.items() if own}
    tx = {
        player: _scaled(stage.tx[player], {n: rates.get(n, rates.get(player, 1.0)) for n in own})
        for player, own in players.items()
    }
    gone = stage.players.keys() - players.keys()
    return stage._replace(
        players=players,
        tx=tx,
        ema=tuple(network for network in stage.ema if network not in frozen),
        losses=_without(stage.losses, gone) if gone else stage.losses,
    )


def require_movement(stage: Stage) -> None:
    """Raise UserError where a stage has nothing left to train."""
    if not moving(stage):
        raise UserError(
            f'config.freeze: nothing is left to train in stage {stage.name}; freeze less, or name '
            'other stages in config.stages'
        )


def _without(losses: Callable, gone: Iterable[str]) -> Callable:
    """Return the losses of the players that are left."""

    def rest(apply, constants, batch, rng):
        values, metrics = losses(apply, constants, batch, rng)
        return {player: x for player, x in values.items() if player not in gone}, metrics

    return rest


def _scaled(
    tx: optax.GradientTransformation, factor: Mapping[str, float]
) -> optax.GradientTransformation:
    """Multiply the updates of networks, which is a factor of their learning rates.

    The optimiser's state stays as it is without factors.
    """
    if all(value == 1 for value in factor.values()):
        return tx

    def update(updates, state, params=None):
        changes: Any
        changes, state = tx.update(updates, state, params)
        return {
            network: jax.tree.map(lambda x, by=factor[network]: x * by, part)
            for network, part in changes.items()
        }, state

    return optax.GradientTransformation(tx.init, update)
