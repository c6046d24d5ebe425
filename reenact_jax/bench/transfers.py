"""How far transferred points move when products round their operands, as accelerators do.

    reenact-jax bench rounding --transfer out/ldnet --data data/points

Transfers between random frames of a shard set run twice on this machine: as they are, and with
operands rounded to bfloat16 (a TPU's default) or TF32 (a GPU's), see rounding.py. The table has the
mean and the largest distance of a point, in pixels of a crop of 256: with all products rounded, as
it would be if none stated its precision, and with those alone that state none.
"""

import jax
import numpy as np
from jaxtyping import Float

from reenact_jax.bench.rounding import MANTISSAS, rounded
from reenact_jax.common import command_line, errors
from reenact_jax.common.errors import UserError
from reenact_jax.data.shards import ShardSet
from reenact_jax.data.tracks import Face
from reenact_jax.export import trained
from reenact_jax.export.trained import Trained
from reenact_jax.systems.interface import LANDMARKS, able, member

SIDE = 256  # of the crop in whose pixels distances are


def faces(part: ShardSet, points: str, count: int, rng: np.random.Generator) -> Face:
    """Read random frames of a split, as a transfer takes them.

    Args:
      part: split of a shard set.
      points: point set.
      count: how many.
      rng: random generator.

    Raises:
      UserError: the set lacks the points.
    """
    part.require_points(points)
    name = f'landmarks_{points}'
    rows = []
    for record in rng.integers(len(part), size=count):
        track = part.fields(int(record), (name, 'aus', 'aus_valid'))
        frame = int(rng.integers(len(track['aus'])))
        places = track[name][frame] * (SIDE / part.columns.size[record])
        rows.append((places[:, :2], places, track['aus'][frame], track['aus_valid'][frame]))
    flat, deep, aus, known = (
        np.stack(column).astype(np.float32) for column in zip(*rows, strict=True)
    )
    return Face(landmarks=flat, landmarks3d=deep, aus=aus, aus_valid=known)


def moved(
    model: Trained, source: Face, driver: Face
) -> dict[tuple[str, bool], Float[np.ndarray, 'b n']]:
    """Measure how far points move.

    Args:
      model: a landmark transfer.
      source: faces.
      driver: as many faces.

    Returns:
      (one of `MANTISSAS`, whether all products are rounded) -> distances in the faces' pixels.
    """

    def transfer(source, driver):
        identity = model.module.identify(*model.model, source)
        return model.module.transfer(*model.model, identity, driver, driver)

    exact = np.asarray(jax.jit(transfer)(source, driver))
    distances = {}
    for kind in MANTISSAS:
        for everything in (True, False):
            points = np.asarray(rounded(transfer, kind, everything)(source, driver))
            distances[kind, everything] = np.linalg.norm(points - exact, axis=-1)
    return distances


def text(found: dict[str, dict]) -> str:
    """Write the distances of models, by name, as a Markdown table."""
    columns = [(kind, everything) for everything in (True, False) for kind in MANTISSAS]
    heads = [f'{kind}, {"all products" if every else "as it is"}' for kind, every in columns]
    lines = ['| mean, largest | ' + ' | '.join(heads) + ' |', '|---' * (len(heads) + 1) + '|']
    for name, distances in found.items():
        cells = [f'{distances[one].mean():.2g}, {distances[one].max():.2g}' for one in columns]
        lines.append(f'| {name} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = errors.Parser(prog='reenact-jax bench rounding', description=__doc__)
    add = parser.add_argument
    add('--transfer', nargs='+', required=True, metavar='WORKDIR', help='trained transfers')
    add('--data', required=True, metavar='SHARDS', help='a shard set')
    add('--split', default='train', help='split of the set; default train')
    add('--count', type=int, default=64, help='transfers; default 64')
    add('--seed', type=int, default=0, help='random seed of the frames; default 0')
    args = parser.parse_args(arguments)
    if not 1 <= args.count <= 10_000:
        raise UserError(f'--count {args.count}: from 1 to 10,000')
    command_line.say_device()
    part, found = ShardSet(args.data, args.split), {}
    for name in args.transfer:
        model = trained.read(name)
        if not _transfers(model):
            raise UserError(f'--transfer {name}: {model.system} transfers no landmarks')
        rng = np.random.default_rng(args.seed)
        source, driver = (faces(part, model.points, args.count, rng) for _ in range(2))
        found[f'{model.system}: {name}'] = moved(model, source, driver)
    print(f'{args.count} transfers, pixels of {SIDE}\n\n{text(found)}')
    return 0


def _transfers(model: Trained) -> bool:
    """Tell whether a model gives landmarks, of landmarks or action units alone."""
    if not able(model.module, model.nets, 'transfer'):
        return False
    return member(model.module, 'motion')(model.hp) == LANDMARKS


if __name__ == '__main__':
    errors.command(main)
