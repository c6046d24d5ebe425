"""Show runs side by side in one HTML file: curves, pictures over time, settings, last values.

    reenact-jax compare out/aan out/spade --out compare.html

A run is the folder that `reenact-jax train` writes, finished or not; NAME=FOLDER gives it a name.
The file loads nothing from elsewhere.
"""

from reenact_jax.common import errors, storage
from reenact_jax.common.errors import UserError
from reenact_jax.runs import page, reading


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = errors.Parser('reenact-jax compare', __doc__)
    add = parser.add_argument
    add('runs', nargs='+', metavar='[NAME=]WORKDIR', help='folders of runs')
    add('--out', default='compare.html', metavar='FILE', help='file to write; default compare.html')
    args = parser.parse_args(arguments)
    if not args.out.endswith('.html'):
        raise UserError(f'--out {args.out}: the page is HTML; name it .html')
    runs = [reading.read(text) for text in args.runs]
    names = [run.name for run in runs]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f'{name}: several runs have this name; name them: one=FOLDER two=...')
    storage.write(args.out, page.write(runs))
    widths = [max(map(len, column)) for column in zip(*page.last_values(runs), strict=True)]
    for row in page.last_values(runs):
        print('  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))
    print(f'{args.out}: {len(runs)} runs')
    return 0
