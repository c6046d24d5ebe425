"""Flags shared by the commands that read footage of people, and their closing report."""

import argparse
import dataclasses
from collections.abc import Sequence

from reenact_jax.common import settings
from reenact_jax.common.errors import UserError
from reenact_jax.data import shards
from reenact_jax.data_prep import outcome, workers
from reenact_jax.data_prep.dealing import SPLITS, Dealing
from reenact_jax.data_prep.gather import CONSENT
from reenact_jax.data_prep.outcome import Outcome
from reenact_jax.faces import segmenter


def add(parser: argparse.ArgumentParser, options: type) -> None:
    """Add the flags to a parser.

    Args:
      parser: gets the flags.
      options: a dataclass of settings, whose fields become flags too.
    """
    add = parser.add_argument
    add('--out', required=True, metavar='DIR', help='folder of the new shard set')
    add('--licence', default='unknown', help='licence of the footage, where no label gives one')
    add('--consent', default='unknown', choices=CONSENT, help='consent of the people, likewise')
    add('--val', type=float, default=0.1, help='share of the people in val (default 0.1)')
    add('--test', type=float, default=0.1, help='share of the people in test (default 0.1)')
    add('--seed', type=int, default=0, help='random seed of the split (default 0)')
    add('--shards', type=int, default=1, dest='count', help='files of each split (default 1)')
    add('--workers', type=int, default=1, help='processes (default 1)')
    add(
        '--beam',
        metavar='OPTIONS',
        help="do the work by Apache Beam, with options of its own such as '--runner=DataflowRunner "
        "...'; needs the extra [beam]; see docs/pods.md",
    )
    add('--face-landmarker', metavar='PATH', help="the detector's model file; default: searched")
    for field in dataclasses.fields(options):
        flag = '--' + field.name.replace('_', '-')
        default = '' if field.default == '' else f' (default {field.default})'
        text = field.metadata['doc'] + default
        add(flag, type=field.type, default=field.default, help=text)


def read(flags: argparse.Namespace, options: type) -> tuple:
    """Read the flags.

    Args:
      flags: as parsed.
      options: the dataclass that `add` got.

    Returns:
      The options, an instance of that dataclass, and the `Dealing`.

    Raises:
      UserError: names the flag whose value is wrong.
    """
    chosen = {field.name: getattr(flags, field.name) for field in dataclasses.fields(options)}
    for name in ('val', 'test'):
        if not 0 <= (share := getattr(flags, name)) < 1:
            raise UserError(f'--{name} {share}: expected a share from 0 to below 1')
    for name, flag in (('count', 'shards'), ('workers', 'workers')):
        if (number := getattr(flags, name)) < 1:
            raise UserError(f'--{flag} {number}: expected 1 or more')
    dealing = Dealing(*(getattr(flags, name) for name in Dealing._fields))
    built = settings.build(options, chosen, where='option')
    segmenter(built.segmenter, built.segmenter_classes)  # a wrong model is refused at once
    return built, dealing


def engine(flags: argparse.Namespace) -> workers.Run | None:
    """Return the engine that does the work; None: processes of this machine.

    Raises:
      UserError: Apache Beam is not installed, or has no such option.
    """
    if flags.beam is None:
        return None
    try:
        from reenact_jax.data_prep import engine as beam
    except ImportError:
        raise UserError('--beam: needs Apache Beam: pip install -e ".[beam]"') from None
    return beam.on_beam(flags.beam, f'{flags.out}/.inputs')


def show(out: str, outcomes: Sequence[Outcome], dealing: Dealing) -> None:
    """Print the report and what the splits of `out` hold."""
    outcome.show(outcomes)
    for split in (splits := shards.splits(out)):
        part = shards.ShardSet(out, split)
        print(f'{split}: {len(part)} records of {part.people} people')
    shares = {'train': 1, 'val': dealing.val, 'test': dealing.test}
    if missing := [split for split in SPLITS if split not in splits and shares[split]]:
        print(f'no {", ".join(missing)}: that takes three people or more who may be in any split')
