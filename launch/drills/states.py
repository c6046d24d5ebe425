"""Checkpoints as plain arrays, to compare two runs bit by bit."""

import json
import pathlib

import jax
import numpy as np
import orbax.checkpoint as ocp

from reenact_jax.train.checkpoints import digests
from reenact_jax.train.checkpoints.places import Place, places

_JSON = ('position', 'config')


def saved(workdir: pathlib.Path, place: Place) -> dict:
    """Read the state in a checkpoint: item -> tree of NumPy arrays as saved."""
    handler, state = ocp.PyTreeCheckpointHandler(), {}
    for item in sorted(place.inside(workdir).iterdir()):
        if item.is_dir() and item.name not in _JSON:
            tree = handler.metadata(item).tree
            kinds = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree)
            arguments = ocp.args.PyTreeRestore(restore_args=kinds)
            state[item.name] = handler.restore(item, args=arguments)
    return state


def position(workdir: pathlib.Path, place: Place) -> dict:
    """Read a checkpoint's stage, step and place in the data."""
    return json.loads((place.inside(workdir) / 'position' / 'metadata').read_text())


def differences(one, two) -> list[str]:
    """List the leaves of two trees that differ in bytes, type or shape."""
    first, second = (dict(jax.tree_util.tree_flatten_with_path(tree)[0]) for tree in (one, two))
    different = [path for path in {**first, **second} if _bits(first, path) != _bits(second, path)]
    return [jax.tree_util.keystr(path) for path in different]


def different_runs(one: pathlib.Path, two: pathlib.Path, stages) -> list[str]:
    """List the differences of two workdirs at the end of each stage: states, positions.

    Args:
      one: a workdir.
      two: another one.
      stages: {name: steps}.
    """
    faults = []
    for number, (stage, steps) in enumerate(stages.items()):
        place = Place(number, stage, steps)
        if missing := [w for w in (one, two) if digests.fault(place.inside(w)) is not None]:
            faults.append(f'{missing[0]}: no valid checkpoint at the end of stage {stage}')
            continue
        if leaves := differences(saved(one, place), saved(two, place)):
            faults.append(f'{two}, end of stage {stage}: {len(leaves)} leaves differ, {leaves[:3]}')
        if position(one, place) != position(two, place):
            faults.append(f'{two}, end of stage {stage}: another place in the data')
    return faults


def newest(workdir: pathlib.Path) -> Place | None:
    """Find the newest checkpoint whose bytes all match its digests."""
    valid = (p for p in places(workdir) if digests.fault(p.inside(workdir)) is None)
    return next(valid, None)


def _bits(leaves: dict, path):
    if path not in leaves:
        return None
    array = np.asarray(leaves[path])
    return array.dtype, array.shape, array.tobytes()
