"""The flag --data of commands that read shard sets: its name is the same in all of them."""

import argparse
from collections.abc import Sequence

from reenact_jax.common.errors import Parser, UserError


def add(parser: Parser, text: str, several: bool = False) -> None:
    """Add --data, and the same without its name, as older command lines have it.

    Args:
      parser: gets both; read them with `parse`.
      text: help of the flag.
      several: whether it takes more than one set.
    """
    counts = ('+', '*') if several else (None, '?')
    parser.add_argument('--data', metavar='SHARDS', nargs=counts[0], help=text)
    parser.add_argument('unnamed', nargs=counts[1], help=argparse.SUPPRESS)


def parse(parser: Parser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the options, with the shard set (or sets) as `data`.

    Args:
      parser: as `add` left it.
      arguments: without the program's name; None: those of this process.

    Returns:
      The options.

    Raises:
      UserError: no set was given, or sets with and without the flag's name.
    """
    args = parser.parse_args(arguments)
    if args.unnamed and args.data:
        raise UserError(f'{args.unnamed!r}: unexpected beside --data; give all sets there')
    args.data = args.data or args.unnamed
    if not args.data:
        parser.error('the following arguments are required: --data')
    return args
