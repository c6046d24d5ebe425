"""Distance of the heads from additive: the error of rules that add landmark displacements.

    python -m data_prep.heads.additive --people 20 --motions 20

If identity and motion were additive, transfer would need no learning: neutral source + (driver -
neutral driver) would be exact. Here strengths, features, saturation, opposing units and the jaw's
rotation differ from person to person, so the rule errs. Errors are mean distances of the 68 points
in percent of the side of the face's box, on exact ground truth.
"""

import numpy as np

from reenact_jax.common import errors
from reenact_jax.common.errors import UserError
from reenact_jax.data_prep.heads import motion, points, pose
from reenact_jax.data_prep.heads.expressions import AU
from reenact_jax.data_prep.heads.likeness import likeness, marks
from reenact_jax.data_prep.heads.pose import State


def transfer_errors(people: int, motions: int, seed: int = 0) -> dict[str, float]:
    """Measure each rule's error in percent of the box, over all ordered pairs of neighbours.

    `driver`: the driver's points as they are; `additive`: the source's neutral points at that pose
    plus the driver's displacement from hers; `units`: the source's own displacement by each unit
    alone, added up.
    """
    cast = [likeness(seed + i) for i in range(people)]
    totals: dict[str, list] = {'driver': [], 'additive': [], 'units': []}
    for number in range(motions):
        state = motion.motion(seed + number, 8)
        found = [_flat(person, state) for person in cast]
        rest = [_flat(person, motion.neutral(state)) for person in cast]
        for i, person in enumerate(cast):
            j = (i + 1) % people
            moved = found[j] - rest[j]
            totals['driver'].append(_error(found[j], found[i]))
            totals['additive'].append(_error(rest[i] + moved, found[i]))
            if i % 5 == 0:
                totals['units'].append(_error(_sum_of_units(person, state, rest[i]), found[i]))
    return {name: float(np.mean(values)) for name, values in totals.items()}


def _flat(person, state: State) -> np.ndarray:
    return pose.project(marks(person, state).surface[:, points.IBUG])[..., :2]


def _sum_of_units(person, state: State, rest) -> np.ndarray:
    total = rest.copy()
    quiet = motion.neutral(state)
    for unit in range(len(AU)):
        alone = np.zeros_like(state.aus)
        alone[:, unit] = state.aus[:, unit]
        total += _flat(person, quiet._replace(aus=alone)) - rest
    return total + _flat(person, quiet._replace(gaze=state.gaze)) - rest


def _error(guess, truth) -> float:
    """Compute the mean distance in percent of the ground truth's box, both about their centres."""
    side = (truth.max(1) - truth.min(1)).max(-1)
    centred = (guess - guess.mean(1, keepdims=True)) - (truth - truth.mean(1, keepdims=True))
    return float((np.linalg.norm(centred, axis=-1).mean(1) / side).mean() * 100)


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = errors.Parser(
        prog='python -m data_prep.heads.additive',
        description='Prints the error of additive rules of motion transfer in percent of the box.',
    )
    parser.add_argument('--people', type=int, default=20)
    parser.add_argument('--motions', type=int, default=20)
    parser.add_argument('--seed', type=int, default=0)
    flags = parser.parse_args(arguments)
    if flags.people < 2 or flags.motions < 1 or flags.seed < 0:
        raise UserError(
            'additive: --people of 2 or more, --motions of 1 or more, --seed of 0 or more'
        )
    for name, value in transfer_errors(flags.people, flags.motions, flags.seed).items():
        print(f'{name:10s} {value:6.2f} % of the box')
    return 0


if __name__ == '__main__':
    errors.command(main)
