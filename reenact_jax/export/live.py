"""Trained models as a bundle in memory, straight from their workdirs: nothing is exported."""

import jax

from reenact_jax.bundle import NO_TRANSFER, Bundle, everywhere
from reenact_jax.export import programs
from reenact_jax.export.trained import Trained


def assemble(generator: Trained, transfer: Trained | None) -> Bundle:
    """What `export` would write and `bundle.load` read, with functions compiled here.

    Raises UserError when the point sets differ.
    """
    calls = programs.calls(generator, transfer)
    own = None
    if transfer is not None:
        driven_by = list(programs.driven_by(transfer.module))
        own = {'system': transfer.system, 'driven_by': driven_by, **transfer.record}
    card = {
        'points': generator.points,
        'size': generator.size,
        'generator': {'system': generator.system, **generator.record}
        | {'takes_depth': programs.takes_depth(generator.module, generator.hp)},
        'transfer': own,
    }
    functions = {name: jax.jit(call.function) for name, call in calls.items()}
    weights = {name: everywhere(call.variables) for name, call in calls.items()}
    return Bundle(card, functions, weights, NO_TRANSFER).using(None)
