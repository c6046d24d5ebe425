"""LD-Net's LMTest: table 1 of its paper beside ours, and landmark transfer against ground truth.

    reenact-jax prepare synthetic --out data/lmtest --landmarks-only --crossed --identities 100 \\
        --tracks 125 --val-identities 0 --test-identities 0 --cross-pairs 0 --seed 1
    reenact-jax evaluate lmtest --model out/ldnet --data data/lmtest --split train

The paper's LMTest is 100 people x 2,000 frames of which identity and motion are both labelled. The
synthetic set has exactly that; tables of landmarks (data_prep.points_csv) may have it. The people
must not have been in the training (another --seed). Several models give several rows; every one has
an untrained control. --sheet draws some cases.
"""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import UInt8

from reenact_jax.common.errors import UserError
from reenact_jax.data.shards import ShardSet
from reenact_jax.data.tracks import Face
from reenact_jax.evaluate.papers import codes, drawings, labelled, transfer_rules
from reenact_jax.evaluate.papers.labelled import Labelled
from reenact_jax.export.trained import Trained, untrained
from reenact_jax.systems.interface import member

# "One-Shot Identity-Preserving Portrait Reenactment", table 1.
PAPER = {
    'identity': dict(zip(codes.PATTERNS, (2.04, 3.18, 3.83), strict=True)),
    'pose': dict(zip(codes.PATTERNS, (3.52, 1.27, 3.67), strict=True)),
}
KEPT = {'identity': codes.PATTERNS[0], 'pose': codes.PATTERNS[1]}  # what a code should keep
NETWORKS = {'identity': 'E_I', 'pose': 'E_P'}


class Result(NamedTuple):
    """What `measure` returns."""

    people: int
    frames: int
    distances: dict[str, dict[str, dict[str, float]]]  # model -> code -> pattern -> distance
    transfer: dict[str, dict[str, float]]  # rule or model -> metric -> value; {}: no ground truth
    sheet: UInt8[np.ndarray, 'h w 3'] | None  # some cases as drawings


def measure(models: dict[str, Trained], part: ShardSet, pairs: int, cases: int) -> Result:
    """Measure both tables for models of the same point set.

    Args:
      models: name -> a landmark transfer with `latent`, `identify` and `transfer`.
      part: frames with the labels `identity` and `pose_id`, every motion by several people; with
        `identity` alone only people's codes are compared.
      pairs: how many are drawn for each pattern of table 1.
      cases: how many are drawn for the transfer table.

    Raises:
      UserError: a model has no codes, the point sets differ or the labels are missing.
    """
    frames = labelled.read(part, point_set(models))
    drawn = codes.pattern_pairs(frames.identity, frames.motion, pairs)
    every = with_controls(models)
    distances: dict[str, dict] = {'paper': PAPER}
    for name, model in every.items():
        distances[name] = {
            code: codes.mean_distances(values, drawn)
            for code, values in latent(model, frames).items()
        }
    people = len(np.unique(frames.identity))
    transfer, sheet = {}, None
    if (frames.motion >= 0).any():
        transfer, sheet = _transfer(every, list(models), frames, cases)
    return Result(people, len(frames.shape), distances, transfer, sheet)


def _transfer(every: dict[str, Trained], shown: list[str], frames: Labelled, cases: int):
    """Return (table, sheet) of the rules and all models; the sheet draws those in `shown`."""
    tests = transfer_rules.draw_cases(frames, cases)
    table = {
        name: transfer_rules.score(shapes, frames, tests)
        for name, shapes in transfer_rules.rules(frames, tests).items()
    }
    few = transfer_rules.Cases(*(one[: drawings.ROWS] for one in tests))
    source, driver, truth = (frames.shape[one] for one in (few.source, few.driver, few.truth))
    shapes_of = {'none': driver}
    for name, model in every.items():
        shapes = transfer_rules.transferred(model, frames, tests)
        table[name] = transfer_rules.score(shapes, frames, tests)
        if name in shown:
            shapes_of[name] = labelled.boxed(shapes[: drawings.ROWS])
    return table, drawings.sheet({'source': source, 'driver': driver}, shapes_of, truth)


def point_set(models: dict[str, Trained]) -> str:
    """Return the point set of all models.

    Raises:
      UserError: the point sets differ, or a model has no codes.
    """
    for name, model in models.items():
        if member(model.module, 'latent') is None:
            raise UserError(f'--model {name}: {model.system} has no codes; give a run of LD-Net')
    names = {model.points for model in models.values()}
    if len(names) > 1:
        raise UserError(f'--model: trained with different point sets: {", ".join(sorted(names))}')
    return names.pop()


def with_controls(models: dict[str, Trained]) -> dict[str, Trained]:
    """Return the models, and after them one untrained control of each architecture."""
    controls = {}
    for name, model in models.items():
        shapes = str(jax.tree.map(np.shape, model.variables))
        controls.setdefault(shapes, (f'untrained, as {name}', untrained(model)))
    return models | dict(controls.values())


def latent(model: Trained, frames: Labelled) -> dict[str, np.ndarray]:
    """Compute the codes of all frames: {'identity': E_I's codes [f, c], 'pose': E_P's}.

    Raises:
      UserError: the model needs depth, which these landmarks do not have.
    """
    if 'landmarks3d' in member(model.module, 'DRIVEN_BY') and not frames.deep[..., 2].any():
        raise UserError(f'{model.system} needs landmarks with depth, which the data do not have')

    @jax.jit
    def run(deep):
        return model.module.latent(*model.model, Face(landmarks=deep[..., :2], landmarks3d=deep))

    return labelled.in_chunks(run, frames.deep)


def text(found: Result) -> str:
    """Write both tables as Markdown."""
    lines = [
        f'{found.people} people, {found.frames} frames.\n',
        'Mean distance of codes (PCA to 8 dimensions; the ratio counts: what a code should keep, '
        'to both different)\n',
        f'| code | model | {" | ".join(codes.PATTERNS)} | ratio |',
        '|---|---|---|---|---|---|',
    ]
    for code, kept in KEPT.items():
        for name, by_code in found.distances.items():
            row = by_code[code]
            values = [f'{row[one]:.3g}' if one in row else '' for one in codes.PATTERNS]
            ratio = f'{row[kept] / row[codes.PATTERNS[2]]:.2f}' if kept in row else ''
            lines.append(f'| {NETWORKS[code]} | {name} | {" | ".join(values)} | {ratio} |')
    if not found.transfer:
        return '\n'.join([*lines, '\nNo motion has a label: no transfer has a known truth.'])
    least = found.transfer[transfer_rules.NONE]['point_error']
    lines += [
        '\nTransfer against exact truth (the rules: evaluate/transfer_rules.py)\n',
        "| rule or model | point error, % of the box | share of none's | identity leak |",
        '|---|---|---|---|',
    ]
    for name, row in found.transfer.items():
        error, leak = row['point_error'], row['identity_leak']
        lines.append(f'| {name} | {error:.2f} | {error / least:.2f} | {leak:.2f} |')
    return '\n'.join(lines)
