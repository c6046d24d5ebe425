"""Checkpoints: written in the background, checked byte by byte when read, resumed from.

Each is an orbax composite of separate items, so that inference restores networks alone:
`variables.NETWORK`, `ema.NETWORK`, `opt`, `counters`, and as JSON `position` (stage, step, place in
the data, what the data were) and `config`. A checkpoint counts from the moment its digest is
written (digests.py). What is damaged or incomplete is named in the log, and the newest valid one is
taken.
"""

import concurrent.futures
import contextlib
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging
from etils import epath
from jax.experimental import multihost_utils

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.train.checkpoints import digests, staging
from reenact_jax.train.checkpoints.places import (
    Place,
    delete,
    discard,
    move_aside,
    note,
    noted,
    places,
    sweep,
)
from reenact_jax.train.step import State


class Store:
    """Writer and reader of the checkpoints of one run; every process of the run has one.

    All methods are called by all processes at the same time; the first process checks, writes
    digests and deletes. Folders are shared between processes.
    """

    def __init__(self, workdir: epath.PathLike, keep: int = 2):
        """Open the checkpoints of a run.

        Args:
          workdir: folder of the run.
          keep: number of checkpoints of each stage that stay.

        Raises:
          UserError: as of `staging.check`.
        """
        staging.check(workdir)
        self._workdir, self._keep = workdir, keep
        self._checkpointer = ocp.AsyncCheckpointer(ocp.CompositeCheckpointHandler())
        self._background = concurrent.futures.ThreadPoolExecutor(1)
        self._pending: concurrent.futures.Future | None = None
        self._failed: Place | None = None
        self.last: Place | None = None  # the newest one known to be complete

    def save(self, place: Place, state: State, position: dict, config: dict) -> None:
        """Start to write; return when the state is off the devices, so that it may be donated."""
        self.wait()
        items = {name: ocp.args.StandardSave(part) for name, part in _parts(state).items()}
        arguments = ocp.args.Composite(
            **items, position=ocp.args.JsonSave(position), config=ocp.args.JsonSave(config)
        )
        written = staging.here(place.inside(self._workdir))
        with self._noting(place, written):
            self._checkpointer.save(written, args=arguments)
        self._pending = self._background.submit(self._finish, place, written)

    def wait(self) -> None:
        """Wait until the last save is complete, and raise what went wrong in it."""
        if self._pending is not None:
            pending, self._pending = self._pending, None
            pending.result()

    def close(self) -> None:
        """Wait, end the background threads and remove what a failed save left."""
        try:
            self.wait()
        finally:
            self._background.shutdown()
            try:
                self._checkpointer.close()
            finally:
                if self._failed and jax.process_index() == 0:
                    discard(self._workdir, self._failed)

    def newest(self) -> Place | None:
        """Find the newest valid checkpoint; None when nothing was completed yet.

        Others on the way to it are logged and moved aside (`damaged-STEP`).

        Raises:
          UserError: there are damaged ones and no valid one.
        """
        found, faults = self._search() if jax.process_index() == 0 else (None, [])
        if jax.process_count() > 1:
            found, failed = _agree(self._workdir, found, bool(faults))
        else:
            failed = bool(faults)
        if failed:
            raise UserError(
                f'{self._workdir}: no valid checkpoint is left ({"; ".join(faults)}); '
                'restore the folder from a copy, or start again with another --workdir'
            )
        self.last = found
        return found

    def position(self, place: Place) -> tuple[dict, dict]:
        """Read (position, config) of a checkpoint."""
        return _json(staging.fetched(place.inside(self._workdir)))

    def restore(self, place: Place, like: State) -> State:
        """Read the state at a place.

        Args:
          like: structure, shapes and shardings of the state.

        Raises:
          UserError: the checkpoint does not fit.
        """
        parts = _read_like(staging.fetched(place.inside(self._workdir)), _parts(like))
        return _assemble(parts)

    def networks(self, place: Place, like: dict[str, dict]) -> dict[str, dict]:
        """Read variables by network as a finished stage hands them on: averages if there are some.

        Args:
          like: structure, shapes and shardings; networks that the checkpoint lacks are left out.
        """
        folder = staging.fetched(place.inside(self._workdir))
        items = {network: _item(folder, network) for network in like}
        wanted = {item: like[network] for network, item in items.items() if item}
        parts = _read_like(folder, wanted)
        return {network: parts[item] for network, item in items.items() if item}

    def _finish(self, place: Place, written: epath.Path) -> None:
        """Complete a save: wait for its files, write the digest, delete old checkpoints."""
        with self._noting(place, written):
            self._checkpointer.wait_until_finished()
            if jax.process_index() == 0:
                digests.write(written)
                staging.send(written, place.inside(self._workdir))
                note(self._workdir, place)
        self.last = place
        if jax.process_index() == 0:
            self._forget(place)

    @contextlib.contextmanager
    def _noting(self, place: Place, written: epath.Path) -> Iterator[None]:
        """Note a save that failed, for `close` to remove."""
        try:
            yield
        except BaseException:
            self._failed = place
            staging.drop(written, place.inside(self._workdir))
            raise

    def _forget(self, newest: Place) -> None:
        """Delete the stage's checkpoints beyond `keep`."""
        mine = [place for place in places(self._workdir) if place.number == newest.number]
        for place in mine[self._keep :]:
            delete(place.inside(self._workdir))

    def _search(self) -> tuple[Place | None, list[str]]:
        """Find the newest valid place; without one, the damaged ones that should have been it."""
        sweep(self._workdir)
        unusable, damaged = [], []
        found = None
        for place in places(self._workdir):
            folder = place.inside(self._workdir)
            fault = digests.fault(folder)
            if fault is None:
                found = place
                break
            logging.warning('checkpoint %s is not used: %s', folder, fault)
            unusable.append(folder)
            if fault != 'incomplete':
                damaged.append(f'{folder}: {fault}')
        if found is None:
            # The first checkpoint of a run may be incomplete. Several, or one after a complete one,
            # have lost their digests: to begin at step 0 would lose the run.
            if len(unusable) > 1 or noted(self._workdir):
                lost = [f'{folder}: {digests.NAME} is missing' for folder in unusable]
                damaged = damaged or lost or ['the checkpoint that was there last is gone']
            if damaged:
                return None, damaged
        for folder in unusable:  # out of the way of the run, which will save these steps again
            move_aside(folder)
        return found, []


def load_networks(workdir: epath.PathLike, ema: bool = True) -> tuple[dict, dict, dict]:
    """Load the trained networks of a workdir, for inference; optimisers are not read.

    The newest valid checkpoint of the last finished stage is taken; while no stage has finished,
    the newest valid one, with a warning.

    Args:
      workdir: folder of a run of `reenact_jax.train`.
      ema: whether to take averaged variables where the stage averaged them.

    Returns:
      The config as plain values (`config.to_json`), variables by network as NumPy arrays, and the
      position: `stage`, `step`, `finished`, and under `data` what the training data were.

    Raises:
      UserError: there is no valid checkpoint.
    """
    unfinished = None
    for place in places(workdir):
        folder = place.inside(workdir)
        if fault := digests.fault(folder):
            logging.warning('checkpoint %s is not used: %s', folder, fault)
            continue
        folder = staging.fetched(folder)
        position, config = _json(folder)
        if position['finished']:
            return config, _variables(folder, ema), position
        unfinished = unfinished or (folder, position, config)
    if unfinished is None:
        raise UserError(f'{workdir}: no valid checkpoint; train with --workdir {workdir} first')
    folder, position, config = unfinished
    logging.warning('%s: no stage has finished; taking step %d', workdir, position['step'])
    return config, _variables(folder, ema), position


def _parts(state: State) -> dict[str, Any]:
    """Split the state into items by name."""
    parts = {'counters': {'step': state.step, 'skipped': state.skipped}, 'opt': state.opt}
    parts |= {f'variables.{network}': part for network, part in state.variables.items()}
    return parts | {f'ema.{network}': part for network, part in state.ema.items()}


def _assemble(parts: dict[str, Any]) -> State:
    """Join what `_parts` split."""

    def of_kind(kind):
        return {
            name.partition('.')[2]: part
            for name, part in parts.items()
            if name.partition('.')[0] == kind
        }

    counters = parts['counters']
    return State(
        counters['step'], of_kind('variables'), parts['opt'], of_kind('ema'), counters['skipped']
    )


def _item(folder: epath.Path, network: str, ema: bool = True) -> str | None:
    """Find the item of a network, its average first with `ema`."""
    kinds = ('ema', 'variables') if ema else ('variables',)
    names = [f'{kind}.{network}' for kind in kinds]
    return next((name for name in names if storage.is_dir(folder / name)), None)


def _read_like(folder: epath.Path, like: dict[str, Any]) -> dict[str, Any]:
    """Read items with these structures, shapes and shardings."""
    abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
    items = {name: ocp.args.StandardRestore(part) for name, part in abstract.items()}
    reader = ocp.Checkpointer(ocp.CompositeCheckpointHandler())
    try:
        restored = reader.restore(folder, args=ocp.args.Composite(**items))
    except (ValueError, KeyError, FileNotFoundError) as error:
        raise UserError(
            f'{folder}: does not fit the networks of this config and data ({error}); '
            'use the config it was written with, or another --workdir'
        ) from error
    return {name: restored[name] for name in like}


def _variables(folder: epath.Path, ema: bool) -> dict[str, dict]:
    """Read all networks as NumPy arrays, whatever devices they were saved from."""
    prefix = 'variables.'
    names = storage.names(folder)
    networks = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
    handler = ocp.PyTreeCheckpointHandler()
    variables = {}
    for network in networks:
        item = folder / (_item(folder, network, ema) or f'{prefix}{network}')
        tree = handler.metadata(item).tree
        as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree)
        variables[network] = handler.restore(
            item, args=ocp.args.PyTreeRestore(restore_args=as_numpy)
        )
    return variables


def _json(folder: epath.Path) -> tuple[dict, dict]:
    """Read (position, config) from a checkpoint's folder."""
    reader = ocp.Checkpointer(ocp.CompositeCheckpointHandler())
    both = {'position': ocp.args.JsonRestore(), 'config': ocp.args.JsonRestore()}
    restored = reader.restore(folder, args=ocp.args.Composite(**both))
    return restored['position'], restored['config']


def _agree(workdir: epath.PathLike, found: Place | None, failed: bool) -> tuple[Place | None, bool]:
    """Give all processes the first one's choice, and whether it failed."""
    mine = np.array([*((-1, -1) if found is None else (found.number, found.step)), failed])
    number, step, fault = (int(value) for value in multihost_utils.broadcast_one_to_all(mine))
    all_places = places(workdir)
    return next((p for p in all_places if (p.number, p.step) == (number, step)), None), bool(fault)
