"""The table of a sweep as Markdown: the paper's numbers and ours side by side."""

import subprocess

import numpy as np

from reenact_jax import __version__
from reenact_jax.data.shards import manifest
from reenact_jax.evaluate.columns import COLUMNS
from reenact_jax.evaluate.estimators import Card
from reenact_jax.evaluate.estimators import table as card_table
from reenact_jax.evaluate.papers import lmtest
from reenact_jax.sweeps import training
from reenact_jax.sweeps.plan import LANDMARKS, Table

FRECHET, NO_FACE = 'frechet', 'no_face'
FID = 'fid'  # papers give this; ours is the Frechet distance of another network
HEADINGS = {
    FRECHET: ('Frechet distance', 4),
    'transfer_parameters': ('parameters of transfer, M', 1),
    'generator_parameters': ('parameters of generator, M', 1),
    'frames_per_second': ('frames/s', 0),
    'ace': ('ACE, pixels of 256', 3),
}


def document(
    table: Table, found: dict, trainings: list, data: dict, command: str, late=(), missing=()
) -> str:
    """Write the whole text.

    Args:
      table: the table.
      found: measurement -> the results of `command.measure`.
      trainings: those of the models, for their minutes.
      data: kind -> shard set.
      command: the command line that makes the table.
      late: rows that were not measured, since their models are not trained yet.
      missing: lines that say which models these are.
    """
    parts = [f'# {table.title}', f'    {command}']
    for kind, metrics in table.measures.items():
        if kind == 'lmtest':
            parts += [lmtest.text(result) for result in found[kind].values()]
            continue
        names = [name for name in metrics if _anywhere(table, found, kind, name)]
        parts += [f'## {kind}', _grid(table, found, kind, names, late)]
    if missing:
        parts += ['## Missing', '\n'.join(f'- {line}' for line in missing)]
    parts += ['## What it is of', _provenance(table, found, trainings, data)]
    return '\n\n'.join(parts) + '\n'


def _anywhere(table: Table, found: dict, kind: str, name: str) -> bool:
    paper = any(_paper(row, kind, name) is not None for row in table.rows)
    return paper or any(values(found[kind], row.name, name) for row in table.rows)


def _grid(table: Table, found: dict, kind: str, names: list[str], late) -> str:
    """Write the paper's rows, then the methods without training; two columns a metric."""
    head, rule = ['row'], 1
    for name in names:
        given = [_paper(row, kind, name) is not None for row in table.rows]
        paper = 'FID' if name == FRECHET else heading(name)
        head += ([f'{paper}, paper'] if any(given) else []) + [f'{heading(name)}, here']
        rule = len(head)
    lines = ['| ' + ' | '.join(head) + ' |', '|---' * rule + '|']
    for row in table.rows:
        cells = [row.name]
        for name in names:
            if any(_paper(one, kind, name) is not None for one in table.rows):
                value = _paper(row, kind, name)
                cells.append('' if value is None else f'{value:g}')
            ours = 'not trained yet' if row in late else _ours(found[kind], row.name, name)
            cells.append(ours if row.ours or row.name in found[kind] else 'not run')
        lines.append('| ' + ' | '.join(cells) + ' |')
    for rule_name in found[kind].get('rules', {}):
        cells = [rule_name]
        for name in names:
            if any(_paper(one, kind, name) is not None for one in table.rows):
                cells.append('')
            cells.append(_ours(found[kind]['rules'], rule_name, name))
        lines.append('| ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def heading(name: str) -> str:
    """Return the heading of a metric's column."""
    return HEADINGS[name][0] if name in HEADINGS else COLUMNS[name].heading


def _paper(row, kind: str, name: str) -> float | None:
    return row.paper.get(kind, {}).get(FID if name == FRECHET else name)


def values(found: dict, row: str, name: str) -> list[float]:
    """List a metric of a row: a value for each seed.

    Args:
      found: row -> seed -> metric -> value, or {'mean': ..., 'low': ..., 'high': ...}.
      row: name of the row.
      name: of the metric.
    """
    every = found.get(row, {}).values()
    picked = [one[name] for one in every if one and one.get(name) is not None]
    return [one['mean'] if isinstance(one, dict) else one for one in picked]


def _ours(found: dict, row: str, name: str) -> str:
    """Write the mean over seeds +- their deviation; of one seed, its interval over tracks."""
    numbers = values(found, row, name)
    if not numbers:
        return ''
    decimals = HEADINGS[name][1] if name in HEADINGS else COLUMNS[name].decimals
    mean = f'{np.mean(numbers):.{decimals}f}'
    if len(numbers) > 1:
        return f'{mean} +- {np.std(numbers, ddof=1):.{decimals}f}'
    (one,) = found[row].values()
    if isinstance(one[name], dict):
        low, high = (f'{one[name][key]:.{decimals}f}' for key in ('low', 'high'))
        return f'{mean} ({low} to {high})'
    return mean


def _provenance(table: Table, found: dict, trainings: list, data: dict) -> str:
    lines = [f'Commit {commit()}.']
    for kind, folder in data.items():
        lines.append(f'Data {kind}: {folder}, digest {manifest.read(folder)["digest"]}.')
    for one in trainings:
        spent = training.minutes(one)
        lines.append(f'Model {one.model}, seed {one.seed}: {one.workdir}, {spent:.0f} minutes.')
    lines += [
        'One seed: means with 95% bootstrap intervals over tracks; several: means over seeds +- '
        'their standard deviation. Rows below the paper\'s need no training, but for the generator '
        'of `additive`, which is the last row\'s. A Frechet distance here is of the estimator '
        'named below, not of Inception: it is not FID.'
    ]  # fmt: skip
    text = '\n'.join(f'- {line}' for line in lines)
    cards = {Card(**card) for kind in found.values() for card in kind.get('estimators', ())}
    if cards:
        text += '\n\n' + card_table(sorted(cards))
    elif not set(table.measures) & set(LANDMARKS):
        text += '\n- No estimator of faces.'
    return text


def commit() -> str:
    """Name the checkout's commit and whether it has changes; without git, the version."""
    try:
        head, changes = (
            subprocess.run(['git', *words], capture_output=True, text=True, check=True).stdout
            for words in (('rev-parse', '--short=12', 'HEAD'), ('status', '--porcelain', '-uno'))
        )
    except (OSError, subprocess.CalledProcessError):
        return f'unknown (version {__version__})'
    return head.strip() + (' with uncommitted changes' if changes.strip() else '')
