"""The n-player step: one forward pass, one vjp, each player its own gradient. It knows no paper.

All players step from the same point (simultaneous updates, as in pix2pixHD's code): the losses are
computed once, and `pull(one_hot(player))` of their vjp is the gradient of that player's loss.
A player takes only the part that belongs to its own networks, so nothing needs to be detached. One
vjp for generator and discriminator is the trick of XMC-GAN's code (Zhang et al. 2021), here for any
number of players.
"""

import functools
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from reenact_jax.common.errors import UserError
from reenact_jax.systems.interface import Stage, moving
from reenact_jax.train.binding import Binding, collections, reduced


@flax.struct.dataclass
class State:
    """All that a step changes. `step` is also the number of batches taken from the loader."""

    step: Int[Array, '']  # steps of this stage, applied and skipped
    variables: dict[str, Any]  # network -> {'params': ..., other collections}
    opt: dict[str, Any]  # player -> state of its optimiser
    ema: dict[str, Any]  # network -> averaged variables
    skipped: dict[str, Int[Array, '']]  # player -> steps that were not applied because of it


class _Pass(NamedTuple):
    statistics: dict  # moving network -> collections after the pass
    grads: dict  # player -> network -> gradient of the player's loss
    values: dict  # player -> loss
    metrics: dict


def start(stage: Stage, variables: dict) -> State:
    """Make the state before the first step: fresh optimisers, averages equal to the networks."""
    variables = {network: {'params': {}, **value} for network, value in variables.items()}
    return State(
        step=jnp.zeros((), jnp.int32),
        variables=variables,
        opt={player: stage.tx[player].init(_own(stage, player, variables)) for player in stage.tx},
        # A copy, not an alias: the state is donated, and a buffer can be donated only once.
        ema={network: jax.tree.map(jnp.copy, variables[network]) for network in stage.ema},
        skipped={player: jnp.zeros((), jnp.int32) for player in stage.players},
    )


def train_step(
    stage: Stage,
    nets: dict,
    *,
    prepare: Callable | None = None,
    seed: int = 0,
    accumulate: int = 1,
    devices: int = 1,
    gather: Callable = lambda tree: tree,
    dtype: str = 'float32',
    ema_decay: float = 0.999,
) -> Callable:
    """Return a stage's pure function (state, constants, batch) -> (state, metrics), to be jitted.

    `constants` are frozen pretrained networks: an argument, neither compiled in nor saved.
    Metrics are float32 scalars: the stage's own, `loss/P`, `grad_norm/P`, `skipped/P` (a count)
    and, where the optimiser shows it, `learning_rate/P`, for each player P.

    A step in which a loss, gradient or new value of some player is NaN or infinite is not applied:
    of the state only `step` and that player's `skipped` change.

    Args:
      stage: checked with `interface.check`.
      nets: modules by network name; each takes the keyword `train`.
      prepare: (raw batch, rng) -> batch as the losses take it, e.g. `preprocess.prepare`.
      seed: of all random draws; they depend on seed, stage, step, microbatch and call alone.
      accumulate: microbatches of a step. Gradients are summed and divided; collections are
        threaded through. Batch normalisation sees one microbatch at a time, so with it the result
        is not that of one large batch.
      devices: number of devices over which the rows of a batch are spread (they stay where they
        are).
      gather: variables that are split over devices -> whole ones, see `sharding.gathering`.
      dtype: compute dtype, see binding.py.
      ema_decay: d in e <- d e + (1 - d) v, at most (1 + t) / (10 + t) at step t, so that a short
        run's average is not its initialisation.
    """
    root = jax.random.fold_in(jax.random.key(seed), zlib.crc32(stage.name.encode()))
    once = functools.partial(_one_pass, stage, nets, prepare, gather, dtype)

    def step(state: State, constants, batch) -> tuple[State, dict]:
        key = jax.random.fold_in(root, state.step)
        if accumulate == 1:
            result = once(state.variables, constants, batch, jax.random.fold_in(key, 0))
        else:
            parts = _microbatches(batch, accumulate, devices)
            result = _accumulated(once, stage, state.variables, constants, parts, key)
        return _update(stage, state, result, ema_decay)

    return step


def scan_steps(step: Callable) -> Callable:
    """Join n steps in one call: (state, constants, batches [n, b, ...]) -> (state, metrics [n]).

    One step is no loop: inside a loop, XLA's convolutions on CPUs are five times slower.
    """

    def steps(state: State, constants, batches):
        if len(jax.tree.leaves(batches)[0]) == 1:
            state, metrics = step(state, constants, jax.tree.map(lambda x: x[0], batches))
            return state, jax.tree.map(lambda x: x[None], metrics)
        return jax.lax.scan(lambda state, batch: step(state, constants, batch), state, batches)

    return steps


def _one_pass(stage, nets, prepare, gather, dtype, variables, constants, batch, key) -> _Pass:
    """Run one forward pass and compute the gradient of every player."""
    prepare_key, losses_key, calls_key = jax.random.split(key, 3)
    if prepare is not None:
        batch = prepare(batch, prepare_key)
    constants = reduced(constants, dtype)

    def losses(params):
        apply = Binding(nets, gather(params), gather(variables), calls_key, dtype)
        values, metrics = stage.losses(apply, constants, batch, losses_key)
        return _scalars(stage, values), (metrics, apply.collections)

    params = {network: variables[network]['params'] for network in moving(stage)}
    values, pull, (metrics, statistics) = jax.vjp(losses, params, has_aux=True)
    grads = {player: _one_player(stage, player, pull) for player in stage.players}
    return _Pass(statistics, grads, values, metrics)


def _accumulated(once, stage, variables, constants, parts, key) -> _Pass:
    """Run passes over microbatches: gradients, losses and metrics averaged, statistics threaded."""

    def micro(carry, item):
        statistics, total = carry
        index, rows = item
        now = {network: {**variables[network], **statistics[network]} for network in statistics}
        result = once(variables | now, constants, rows, jax.random.fold_in(key, index))
        return (result.statistics, jax.tree.map(jnp.add, total, result.grads)), (
            result.values,
            result.metrics,
        )

    statistics = {network: collections(variables[network]) for network in moving(stage)}
    params = {player: _own(stage, player, variables) for player in stage.players}
    count = len(jax.tree.leaves(parts)[0])
    carry = (statistics, jax.tree.map(jnp.zeros_like, params))
    (statistics, grads), several = jax.lax.scan(micro, carry, (jnp.arange(count), parts))
    grads = jax.tree.map(lambda total: total / count, grads)
    return _Pass(statistics, grads, *jax.tree.map(lambda x: jnp.mean(x, 0), several))


def _update(stage: Stage, state: State, result: _Pass, ema_decay: float) -> tuple[State, dict]:
    """Return the next state, if everything in it is finite, and the metrics of this step."""
    variables, opt, written = dict(state.variables), {}, {}
    for player, networks in stage.players.items():
        grads, params = result.grads[player], _own(stage, player, state.variables)
        updates, opt[player] = stage.tx[player].update(grads, state.opt[player], params)
        params: Any = optax.apply_updates(params, updates)
        new = {
            network: {**result.statistics[network], 'params': params[network]}
            for network in networks
        }
        variables |= new
        written[player] = grads, new, opt[player]
    ema = _averaged(state.ema, variables, ema_decay, state.step)
    good, bad = _verdict(result.values, written)
    # A branch, not a where a leaf: XLA would copy the test of all leaves into each leaf's kernel,
    # and compile times grow with the square of their number (minutes instead of seconds).
    variables, opt, ema = jax.lax.cond(
        good,
        lambda new, old: new,
        lambda new, old: old,
        (variables, opt, ema),
        (state.variables, state.opt, state.ema),
    )
    skipped = {player: state.skipped[player] + bad[player] for player in state.skipped}
    return State(state.step + 1, variables, opt, ema, skipped), _metrics(result, opt, skipped)


def _metrics(result: _Pass, opt: dict, skipped: dict) -> dict[str, Float[Array, '']]:
    """Collect the metrics of a step as float32 scalars."""
    metrics = {name: jnp.asarray(value, jnp.float32) for name, value in result.metrics.items()}
    for player, value in result.values.items():
        metrics[f'loss/{player}'] = value
        metrics[f'grad_norm/{player}'] = optax.tree.norm(result.grads[player])
        metrics[f'skipped/{player}'] = skipped[player].astype(jnp.float32)
        for _, rate in optax.tree_utils.tree_get_all_with_path(opt[player], 'learning_rate'):
            if isinstance(rate, jax.Array):  # and not the schedule's own counter
                metrics[f'learning_rate/{player}'] = rate.astype(jnp.float32)
    return metrics


def _averaged(ema: dict, variables: dict, decay: float, step) -> dict:
    """Compute e <- d e + (1 - d) v for all floating-point leaves; others take the newest value."""
    share = 1 - jnp.minimum(decay, (1 + step) / (10 + step))

    def average(old, new):
        if not jnp.issubdtype(old.dtype, jnp.floating):
            return new
        return (old + share * (new - old)).astype(old.dtype)

    return {network: jax.tree.map(average, ema[network], variables[network]) for network in ema}


def _scalars(stage: Stage, values: dict) -> dict:
    """Reject losses that are not one scalar for each player."""
    if set(values) != set(stage.players):
        raise UserError(
            f'stage {stage.name}: losses of {sorted(values)}, players are {sorted(stage.players)}'
        )
    for player, value in values.items():
        if jnp.shape(value) != ():
            raise UserError(f'stage {stage.name}: the loss of {player} has shape {value.shape}')
    return {player: jnp.asarray(value, jnp.float32) for player, value in values.items()}


def _one_player(stage: Stage, player: str, pull: Callable) -> dict:
    """Compute the gradient of a player's loss in its own networks."""
    (grads,) = pull({other: jnp.float32(other == player) for other in stage.players})
    return {network: grads[network] for network in stage.players[player]}


def _own(stage: Stage, player: str, variables: dict) -> dict:
    """Return the parameters of a player's networks."""
    return {network: variables[network]['params'] for network in stage.players[player]}


def _microbatches(batch, accumulate: int, devices: int):
    """Split rows [b, ...] into [accumulate, b / accumulate, ...]; every row stays on its device."""

    def split(x):
        parts = x.reshape(devices, accumulate, -1, *x.shape[1:])
        return parts.swapaxes(0, 1).reshape(accumulate, -1, *x.shape[1:])

    return jax.tree.map(split, batch)


def _verdict(values: dict, written: dict) -> tuple[Array, dict[str, Array]]:
    """Decide whether the step is applied, and which players are to blame if not.

    A loss that is not finite spoils every gradient of the shared pass (0 times infinity), so
    gradients and new values accuse their player only while all losses are finite.
    """
    losses = {player: jnp.isfinite(value) for player, value in values.items()}
    all_losses = jnp.all(jnp.stack(list(losses.values())))
    rest = {player: _finite(tree) for player, tree in written.items()}
    bad = {player: ~losses[player] | (all_losses & ~rest[player]) for player in values}
    good = jnp.all(jnp.stack([~value for value in bad.values()]))
    # The barrier keeps the compiler from computing the verdict anew for every leaf it decides on.
    return jax.lax.optimization_barrier((good, bad))


def _finite(tree) -> Array:
    """Tell whether all floating-point leaves are finite."""
    leaves = [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    each = jax.lax.optimization_barrier(jnp.stack([jnp.isfinite(leaf).all() for leaf in leaves]))
    return jnp.all(each)
