"""Weights that a run starts from: those of other runs and of bundles, by network and name.

`--init WORKDIR|BUNDLE[:NETWORK,...]` may be given several times; the last one that has an array of
the same name and shape gives it. Averages are taken where there are some, as `export` does. What
does not fit is fresh. Data, size and settings may differ.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from reenact_jax import bundle
from reenact_jax.common import storage
from reenact_jax.common.arrays import AnyArray
from reenact_jax.common.errors import UserError
from reenact_jax.train import tuning
from reenact_jax.train.checkpoints import store
from reenact_jax.trust import cards

NAME = 'init.json'
_SHOWN = 3  # arrays that do not fit, named in a row of the table


class Source(NamedTuple):
    """Weights of one `--init`."""

    text: str  # as it was given
    asked: tuple[str, ...]  # networks; none: all
    arrays: dict[str, AnyArray]  # network/collection/module/parameter -> array
    record: dict  # what they are, plain values

    @property
    def networks(self) -> list[str]:
        """List the networks that it has."""
        return list(dict.fromkeys(name.partition('/')[0] for name in self.arrays))

    def takes(self, network: str) -> bool:
        """Tell whether it is to give this network."""
        return network in (self.asked or self.networks)


class Row(NamedTuple):
    """What became of one network."""

    network: str
    arrays: int
    fitted: int
    sources: tuple[str, ...]
    fresh: tuple[str, ...]  # arrays that sources have in other shapes


def read(text: str, system: str) -> Source:
    """Read the weights that `WORKDIR|BUNDLE[:NETWORK,...]` names.

    Args:
      text: of the flag.
      system: of the run: of a bundle's parts, that of this system is taken, if there is one.

    Raises:
      UserError: there is neither a run with a checkpoint nor a bundle, or it lacks a network.
    """
    path, asked = _split(text)
    if bundle.is_bundle(path):
        arrays, record = _bundle(path, system)
    elif storage.is_dir(storage.path(path)):
        values, variables, position = store.load_networks(path)
        arrays = {name: leaf for name, leaf in _flat(variables)}
        record = {'system': values['system'], **{k: position[k] for k in ('stage', 'step')}}
        record |= _weights(position)
    else:
        raise UserError(f'--init {text}: {path}: no such run and no such bundle')
    source = Source(text, asked, arrays, record)
    for network in asked:
        if network not in source.networks:
            hint = tuning.near(network, source.networks)
            raise UserError(f'--init {text}: no network {network!r} there; {hint}')
    return source


def fit(sources: Iterable[Source], fresh: dict[str, Any]) -> tuple[dict[str, Any], list[Row]]:
    """Put given arrays in place of fresh ones of the same names and shapes.

    Args:
      sources: later ones come before earlier ones.
      fresh: network -> variables.

    Returns:
      network -> variables, given leaves as NumPy arrays; and a row for each network.

    Raises:
      UserError: a network was asked for that this run does not have, or nothing of a source fits.
    """
    sources = list(sources)
    for source in sources:
        for network in source.asked:
            if network not in fresh:
                hint = tuning.near(network, fresh)
                raise UserError(f'--init {source.text}: this run has no {network!r}; {hint}')
    variables, rows = {}, []
    for network, tree in fresh.items():
        variables[network], row = _network(network, tree, sources)
        rows.append(row)
    for source in sources:
        if not any(_fits(source, network, tree) for network, tree in fresh.items()):
            raise UserError(
                f'--init {source.text}: none of its weights fits; it is of {source.record} and has '
                f'{", ".join(source.networks)}; this run has {", ".join(fresh)}'
            )
    return variables, rows


def table(rows: Iterable[Row]) -> str:
    """Write what became of the networks as text."""
    lines = [f'{"network":<9}{"given":>9}   from']
    for row in rows:
        names = ', '.join(row.sources) or 'nowhere: fresh'
        lines.append(f'{row.network:<9}{f"{row.fitted} of {row.arrays}":>9}   {names}')
        lines += [f'{"":<21}fresh: {text}' for text in row.fresh[:_SHOWN]]
        if len(row.fresh) > _SHOWN:
            lines.append(f'{"":<21}and {len(row.fresh) - _SHOWN} more, see {NAME}')
    return '\n'.join(lines)


def record(sources: Iterable[Source], rows: Iterable[Row]) -> dict:
    """Return what was given and what became of it as plain values."""
    return {
        'sources': [{'init': source.text, **source.record} for source in sources],
        'networks': {
            row.network: {k: v for k, v in row._asdict().items() if k != 'network'} for row in rows
        },
    }


def imported(sources: Iterable[Source], rows: Iterable[Row]) -> dict[str, Any] | None:
    """Return source, licence and digest of the imported weights among those that were used.

    Returns:
      Of several imported files, the values joined by semicolons; None: there is none.
    """
    used = {text for row in rows for text in row.sources}
    found = [one.record.get('weights') for one in sources if one.text in used]
    found = [one for i, one in enumerate(found) if one and one not in found[:i]]
    if len(found) < 2:
        return found[0] if found else None
    keys = dict.fromkeys(key for one in found for key in one)
    return {key: '; '.join(dict.fromkeys(str(one.get(key)) for one in found)) for key in keys}


def _split(text: str) -> tuple[str, tuple[str, ...]]:
    """Part the folder from the networks; a colon may be a bucket's or of the folder's name."""
    path, colon, tail = text.rpartition(':')
    if not colon or '/' in tail or storage.is_dir(storage.path(text)):
        return text, ()
    networks = tuning.names([tail])
    if not path or not networks:
        raise UserError(f'--init {text}: expected WORKDIR or BUNDLE, with :NETWORK,NETWORK or not')
    return path, networks


def _bundle(path: str, system: str) -> tuple[dict[str, AnyArray], dict]:
    """Read a bundle's weights: of its part of this system, else of all, the generator's first."""
    card, parts = bundle.read_card(path), bundle.read_weights(path)
    entries = {f'transfer{end}': one for end, one in cards.transfers(card).items()}
    entries |= {'generator': card['generator']}
    mine = {part: one for part, one in entries.items() if one['system'] == system} or entries
    arrays = {name: array for part in mine for name, array in parts.get(part, {}).items()}
    record = {'bundle': path} | {
        part: {k: one.get(k) for k in ('system', 'stage', 'step')} for part, one in mine.items()
    }
    for one in mine.values():
        record |= _weights(one)
    return arrays, record


def _weights(entry: Mapping) -> dict:
    """Return what a checkpoint or a card says of the origin of imported weights."""
    return {'weights': entry['weights']} if entry.get('weights') else {}


def _network(network: str, tree, sources: list[Source]) -> tuple[Any, Row]:
    """Fill one network."""
    given, used, other = {}, {}, []
    takers = [source for source in reversed(sources) if source.takes(network)]
    named = list(_flat({network: tree}))
    for name, leaf in named:
        there = [source for source in takers if name in source.arrays]
        match = next((s for s in there if np.shape(s.arrays[name]) == leaf.shape), None)
        if match is not None:
            given[name] = np.asarray(match.arrays[name]).astype(leaf.dtype)
            used[match.text] = None
        elif there:
            shape = _shape(there[0].arrays[name])
            other.append(f'{name} is {shape} in {there[0].text}, {_shape(leaf)} here')
    leaves = [given.get(name, leaf) for name, leaf in named]
    filled = jax.tree.unflatten(jax.tree.structure(tree), leaves)
    return filled, Row(network, len(named), len(given), tuple(used), tuple(other))


def _fits(source: Source, network: str, tree) -> bool:
    """Tell whether anything of a source fits a network, also where another one was preferred."""
    return source.takes(network) and any(
        name in source.arrays and np.shape(source.arrays[name]) == leaf.shape
        for name, leaf in _flat({network: tree})
    )


def _flat(variables: Mapping) -> list[tuple[str, Any]]:
    """List (network/collection/module/parameter, leaf) in the order of the tree's leaves."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(variables)
    return [('/'.join(map(_word, path)), leaf) for path, leaf in leaves]


def _word(key) -> str:
    """Return one step of a path."""
    return str(next(getattr(key, name) for name in ('key', 'name', 'idx') if hasattr(key, name)))


def _shape(array) -> str:
    return 'x'.join(map(str, np.shape(array))) or 'one number'
