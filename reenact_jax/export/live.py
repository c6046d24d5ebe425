"""Trained models as a bundle in memory, straight from their workdirs: nothing is exported."""

import jax

from reenact_jax.bundle import NO_TRANSFER, Bundle, everywhere
from reenact_jax.export import programs
from reenact_jax.export.trained import Trained
from reenact_jax.systems.interface import member


def assemble(generator: Trained, transfer: Trained | None) -> Bundle:
    """Return what `export` would write and `bundle.load` read, with functions compiled here.

    Raises:
      UserError: as `programs.check_fit`.
    """
    calls = programs.calls(generator, transfer)
    entry = None
    if transfer is not None:
        driven_by = list(member(transfer.module, 'DRIVEN_BY'))
        entry = {'system': transfer.system, 'driven_by': driven_by, **transfer.record}
    card = {
        'points': generator.points,
        'size': generator.size,
        'motion': programs.motion_of(generator).kind,
        'generator': {'system': generator.system, **generator.record}
        | {'takes_depth': member(generator.module, 'takes_depth')(generator.hp)},
        'transfer': entry,
    }
    functions = {name: jax.jit(call.function) for name, call in calls.items()}
    weights = {name: everywhere(call.variables) for name, call in calls.items()}
    return Bundle(card, functions, weights, NO_TRANSFER).using(None)
