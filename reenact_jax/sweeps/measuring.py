"""Measurements of a table's rows: one evaluation a row, seed and kind, kept and reused."""

import argparse
import time
from collections.abc import Mapping

import jax
import numpy as np
from etils import epath

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.data.shards import ShardSet, manifest
from reenact_jax.data.tracks import DataInfo
from reenact_jax.evaluate import compare, tables
from reenact_jax.evaluate.papers import ace, lmtest
from reenact_jax.export import live, trained
from reenact_jax.export.trained import Trained
from reenact_jax.sweeps.plan import LANDMARKS, Row, Table
from reenact_jax.systems.interface import member
from reenact_jax.train import config

LEARNT = 'expressions'  # what models learn from whose landmarks are measured in ACE
FRECHET, NO_FACE = 'frechet', 'no_face'


def pairs(
    table: Table,
    row: Row,
    kind: str,
    trainings: dict,
    seed: int,
    data: dict,
    folder: epath.Path,
    args: argparse.Namespace,
    theirs: Mapping[str, str] = {},
) -> dict:
    """Measure a row on a list of pairs; what an earlier call measured is read from its file.

    Args:
      table: the table.
      row: one of its rows.
      kind: of pairs.
      trainings: (model, seed) -> `Training`.
      seed: of the trainings.
      data: kind of data -> shard set.
      folder: where evaluations are kept.
      args: the command's options.
      theirs: row of another program -> folder of its results, which are scored too.

    Returns:
      `methods`: {method: {metric: ...}}; `ours`: the name of the row's own method; `estimators`.
    """
    parts = [trainings[name, seed].workdir for name in (row.generator, row.transfer) if name]
    name = '-'.join([*(part.name for part in parts), kind, *([] if row.transfer else ['none'])])
    model = _assembled(row, trainings, seed)
    exact = kind == 'gt_cross' and has_split(data['heads'], kind)
    part = ShardSet(data['heads'], kind if exact else 'test')
    # Labelled stills have no split with ground truth, but labels that give it.
    drawn = 'labelled' if kind == 'gt_cross' and not exact else kind
    chosen = compare.choose(drawn, part, args.most, seed=0)
    others = compare.find_results([f'{n}={path}/{kind}' for n, path in theirs.items()], chosen)
    target = folder / name
    with compare.measuring(args) as measure:
        description = compare.described(str(parts[0]), model, part, chosen, measure, args.stored)
        description |= {'results': {one.name: one.facts() for one in others}} if others else {}
        results = earlier(target, description)
        if results is None:
            print(f'\n{row.name}, seed {seed}: {target}', flush=True)
            compare.run(model, part, chosen, measure, target, description, others)
            results = storage.read_json(target / 'table.json')
    ours = f'{model.transfer_name} + {model.card["generator"]["system"]}'
    return {'methods': results['methods'], 'ours': ours, 'estimators': results['estimators']}


def has_split(folder: str, split: str) -> bool:
    """Tell whether a shard set has a split."""
    return split in manifest.read(folder)['splits']


def results_of(table: Table, texts: list[str]) -> dict[str, str]:
    """Return the folders of other programs' results: those of the table, and of `--results`.

    Args:
      table: whose rows may name a folder.
      texts: ROW=FOLDER, for any row without a model here.

    Returns:
      Row -> folder.

    Raises:
      UserError: a text has another form, or the table has no such row.
    """
    folders = {row.name: row.results for row in table.rows if row.results}
    free = [row.name for row in table.rows if not row.ours]
    for text in texts:
        name, sign, folder = text.partition('=')
        if not sign or name not in free:
            known = ', '.join(free) or 'none in this table'
            raise UserError(
                f'--results {text}: expected ROW=FOLDER, ROW of another program: {known}'
            )
        folders[name] = folder
    return folders


def _assembled(row: Row, trainings: dict, seed: int):
    generator = trained.read(trainings[row.generator, seed].workdir)
    transfer = trained.read(trainings[row.transfer, seed].workdir) if row.transfer else None
    return live.assemble(generator, transfer)


def earlier(target: epath.Path, description: dict) -> dict | None:
    """Return what an earlier call measured and wrote here; None: nothing, or something else."""
    file = target / 'table.json'
    if not storage.exists(file):
        return None
    results = storage.read_json(file)
    same = all(results.get(key) == value for key, value in description.items())
    return results if same and storage.exists(target / tables.NAME) else None


def landmarks(table: Table, kind: str, trainings: dict, seed: int, folders: dict, cases: int):
    """Measure `lmtest`, `ace` or `ace_seen` of all rows at once.

    `ace` is measured on people who were held out: the split test, or train of a set without it;
    `ace_seen` on those of the training.

    Args:
      table: the table.
      kind: one of `LANDMARKS`.
      trainings: (model, seed) -> `Training`.
      seed: of the trainings.
      folders: kind of data -> shard set.
      cases: most cases of landmark transfer.

    Returns:
      The result of the measure's own module.
    """
    models = {
        row.name: trained.read(trainings[row.transfer, seed].workdir)
        for row in table.rows
        if row.transfer
    }
    data = folders[LANDMARKS[kind]]
    split = 'test' if kind == 'ace' and has_split(data, 'test') else 'train'
    part = ShardSet(data, split)
    if kind != 'lmtest':
        learnt = ShardSet(folders[LEARNT], 'train') if LEARNT in folders else None
        return ace.measure(models, part, cases, learnt=learnt)
    return lmtest.measure(models, part, 50 * cases, cases)


def speed(table: Table, row: Row, seconds: float = 3.0) -> dict[str, float]:
    """Count a row's parameters and time its untrained networks.

    One source, eight frames at once, 256 x 256 (64 x 64 unless at the paper's size), transfer
    and image together, on this machine's devices.

    Args:
      table: the table.
      row: one of its rows, with a generator.
      seconds: length of the measurement.

    Returns:
      Millions of parameters of each part, and frames a second.
    """
    parts = {}
    side = 256 if table.size == 'paper' else 64
    for role, name in (('generator', row.generator), ('transfer', row.transfer)):
        if name is None:
            continue
        model = table.models[name]
        values = config.build(model.system, run={'data': '-'}, hparams=model.hparams(table.size))
        module, run, hparams = config.resolve(values)
        nets = module.networks(hparams, DataInfo(4, 8, run.points))
        fresh = Trained(model.system, module, hparams, nets, {}, run.points, side, {})
        parts[role] = trained.untrained(fresh)
    bundle = live.assemble(parts['generator'], parts.get('transfer'))
    count = {
        role: sum(
            np.size(leaf)
            for network in _used(part, 'render' if role == 'generator' else 'transfer')
            for leaf in jax.tree.leaves(part.variables[network]['params'])
        )
        for role, part in parts.items()
    }
    source = {'image': np.zeros((1, side, side, 3), np.float32)}
    source |= {'landmarks': np.float32(np.random.default_rng(0).uniform(0, side, (1, 68, 2)))}
    driving = {name: np.repeat(value, 8, 0) for name, value in source.items()}
    identity, look = bundle.identify(source), bundle.encode(source)

    def frames():
        points = bundle.transfer(identity, driving, source)
        jax.block_until_ready(bundle.render(look, points))

    frames()
    begin, calls = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        frames()
        calls += 1
    rate = 8 * calls / (time.perf_counter() - begin)
    millions = {f'{role}_parameters': n / 1e6 for role, n in count.items()}
    return millions | {'frames_per_second': rate}


def _used(part: Trained, function: str) -> tuple[str, ...]:
    """List the networks that a function needs: those of `NEEDS`, or all but discriminators."""
    needs = member(part.module, 'NEEDS') or {}
    return needs.get(function, tuple(name for name in part.nets if name[0] != 'D'))
