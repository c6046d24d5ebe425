"""Trained models as a bundle in memory, straight from their workdirs: nothing is exported."""

import jax

from reenact_jax import exporting
from reenact_jax.bundle import NO_TRANSFER, Bundle, everywhere
from reenact_jax.trained import Trained


def assemble(generator: Trained, transfer: Trained | None) -> Bundle:
    """What `export` would write and `bundle.load` read, with functions compiled here.

    Raises UserError when the point sets differ.
    """
    calls = exporting.carry_calls(generator.points, generator.size)
    calls |= exporting.generator_calls(generator)
    own = None
    if transfer is not None:
        exporting.check_same_points(generator, transfer)
        calls |= exporting.transfer_calls(transfer, generator.size)
        driven_by = list(exporting.driven_by(transfer.module))
        own = {'system': transfer.system, 'driven_by': driven_by, **transfer.record}
    card = {
        'points': generator.points,
        'size': generator.size,
        'generator': {'system': generator.system, **generator.record},
        'transfer': own,
    }
    functions = {name: jax.jit(call.function) for name, call in calls.items()}
    weights = {name: everywhere(call.variables) for name, call in calls.items()}
    return Bundle(card, functions, weights, NO_TRANSFER).using(None)
