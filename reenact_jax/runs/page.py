"""One HTML file of runs: it loads nothing, so that it can be sent and kept."""

import base64
import html
import io
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from reenact_jax.runs import reading
from reenact_jax.runs.reading import Run

COLOURS = (
    *('#1f77b4', '#d62728', '#2ca02c', '#9467bd', '#ff7f0e'),
    *('#17becf', '#8c564b', '#e377c2', '#7f7f7f', '#bcbd22'),
)
PICTURES = 5  # of each run
_WIDTH, _HEIGHT = 360, 200  # of a curve's drawing, pixels
_LEFT, _BOTTOM = 56, 18  # its margins
_POINTS = 400  # most of a curve
_SIDE = 480  # largest width of a picture, pixels
_STYLE = """body{font:14px sans-serif;margin:24px;max-width:1200px}table{border-collapse:collapse}
td,th{border:1px solid #ccc;padding:2px 8px;text-align:left;font-variant-numeric:tabular-nums}
figure{display:inline-block;margin:4px}div{overflow-x:auto}
ul{position:sticky;top:0;background:#fff;padding:6px 0;margin:0}
li{display:inline;margin:0 16px 0 0}svg text{font:10px sans-serif}figcaption{font-size:12px}"""
Cells = Sequence[Sequence[str]]


def write(runs: Sequence[Run], results: Mapping[str, Cells] = {}) -> str:
    """Write the page.

    Args:
      runs: the runs, in the order of their colours.
      results: heading -> rows of a table, its head first, which comes before all else.
    """
    parts = [f'<!doctype html><meta charset="utf-8"><title>Runs</title><style>{_STYLE}</style>']
    parts += ['<h1>Runs</h1>', _legend(runs)]
    for heading, rows in results.items():
        parts += [f'<h2>{html.escape(heading)}</h2>', _table(rows)]
    # A row for each metric: there may be twenty, and a page is not that wide.
    values = [list(row) for row in zip(*last_values(runs), strict=True)]
    parts += ['<h2>Last values</h2>', _table(values)]
    different = reading.differences(runs)
    parts.append('<h2>Settings that differ</h2>')
    head = ['field', *(run.name for run in runs)]
    rows = [[field, *map(str, values)] for field, values in different.items()]
    parts.append(_table([head, *rows]) if rows else '<p>None.</p>')
    parts += ['<h2>Curves</h2>', _curves(runs), '<h2>Pictures</h2>', *map(_pictures, runs)]
    return '\n'.join(parts) + '\n'


def last_values(runs: Sequence[Run]) -> list[list[str]]:
    """Return a table of what the runs' last lines say, its head first."""
    metrics = list(dict.fromkeys(name for run in runs for name in run.last()))
    rows = [['run', 'stage', 'step', 'minutes', *metrics]]
    for run in runs:
        line, values = run.lines[-1] if run.lines else {}, run.last()
        where = [str(line.get('stage', '')), str(line.get('step', ''))]
        spent = f'{reading.minutes(run.lines):.1f}'
        numbers = [f'{values[name]:.5g}' if name in values else '' for name in metrics]
        rows.append([run.name, *where, spent, *numbers])
    return rows


def _legend(runs: Sequence[Run]) -> str:
    items = [
        f'<li><b style="color:{_colour(i)}">&#9632;</b> {html.escape(run.name)}: '
        f'{html.escape(str(run.settings.get("config.system", "")))}, {html.escape(run.folder)}</li>'
        for i, run in enumerate(runs)
    ]
    return f'<ul>{"".join(items)}</ul>'


def _table(rows: Cells) -> str:
    head, *body = ([html.escape(cell) for cell in row] for row in rows)
    lines = ''.join(f'<tr><td>{"</td><td>".join(row)}</td></tr>\n' for row in body)
    return f'<div><table><tr><th>{"</th><th>".join(head)}</th></tr>\n{lines}</table></div>'


def _curves(runs: Sequence[Run]) -> str:
    """Draw a figure for each stage and metric, with a line for each run that has it."""
    figures: dict[tuple[str, str], list] = {}
    for i, run in enumerate(runs):
        for key, (steps, values) in run.curves().items():
            if len(steps) > 1:
                figures.setdefault(key, []).append((_colour(i), steps, values))
    return '\n'.join(_figure(f'{s}: {m}', found) for (s, m), found in figures.items()) or '<p>None.'


def _figure(title: str, found: list) -> str:
    """Draw one figure as SVG."""
    every = [np.array([x, y], float) for _, x, y in found]
    low, high = np.min([one.min(1) for one in every], 0), np.max([one.max(1) for one in every], 0)
    span = np.where(high > low, high - low, 1)
    lines = []
    for (colour, *_), one in zip(found, every, strict=True):
        x, y = (_thinned(one) - low[:, None]) / span[:, None]
        x, y = _LEFT + x * (_WIDTH - _LEFT - 8), (1 - y) * (_HEIGHT - _BOTTOM - 8) + 8
        points = ' '.join(f'{a:.1f},{b:.1f}' for a, b in zip(x, y, strict=True))
        lines.append(f'<polyline fill="none" stroke="{colour}" points="{points}"/>')
    bottom = _HEIGHT - _BOTTOM
    texts = [
        f'<text x="2" y="16">{high[1]:.4g}</text><text x="2" y="{bottom}">{low[1]:.4g}</text>',
        f'<text x="{_LEFT}" y="{_HEIGHT - 4}">{low[0]:.0f}</text>',
        f'<text x="{_WIDTH - 8}" y="{_HEIGHT - 4}" text-anchor="end">{high[0]:.0f}</text>',
        f'<text x="{(_LEFT + _WIDTH) / 2:.0f}" y="{_HEIGHT - 4}" text-anchor="middle">step</text>',
        f'<path d="M{_LEFT} 8V{bottom}H{_WIDTH - 8}" fill="none" stroke="#999"/>',
    ]
    drawing = f'<svg width="{_WIDTH}" height="{_HEIGHT}">{"".join(texts + lines)}</svg>'
    return f'<figure>{drawing}<figcaption>{html.escape(title)}</figcaption></figure>'


def _thinned(points: np.ndarray) -> np.ndarray:
    """Average a curve [2, n] over pieces of equal length, where it has too many points."""
    pieces = np.array_split(points, min(_POINTS, points.shape[1]), axis=1)
    return np.stack([piece.mean(1) for piece in pieces], 1)


def _pictures(run: Run) -> str:
    """Show the previews of a run over time."""
    found = reading.pictures(run, PICTURES)
    if not found:
        return f'<p>{html.escape(run.name)}: none.</p>'
    shown = ''.join(
        f'<figure><img src="data:image/jpeg;base64,{_jpeg(one.png)}">'
        f'<figcaption>{html.escape(one.stage)}, step {one.step}</figcaption></figure>'
        for one in found
    )
    return f'<h3>{html.escape(run.name)}</h3>{shown}'


def _jpeg(png: bytes) -> str:
    image = Image.open(io.BytesIO(png), formats=['PNG']).convert('RGB')
    image.thumbnail((_SIDE, 4 * _SIDE))
    file = io.BytesIO()
    image.save(file, 'JPEG', quality=85)
    return base64.b64encode(file.getvalue()).decode()


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]
