"""Join trained models into a bundle: one folder that animates portraits with jax alone.

    reenact-jax export --generator out/aan --transfer out/ldnet --out out/bundle

Any system's landmark transfer goes with any system's generator, if both were trained with the same
point set. --transfer may be given several times: the first is the default, `reenact --transfer
NAME` takes another. Without it the driver's landmarks are used as they are; a system whose motion
is of another kind (keypoints) brings its own transfer. bundle.py says what is in the folder and how
to run it.
"""

import argparse
import json
import os
from collections.abc import Sequence

from reenact_jax import bundle, trust
from reenact_jax.common import command_line, errors, storage, tables
from reenact_jax.common.errors import UserError
from reenact_jax.export import model_card, precision, programs, trained
from reenact_jax.export.trained import Trained
from reenact_jax.systems import interface
from reenact_jax.trust.stablehlo import Refused

DTYPES = ('float32', 'bfloat16', 'float16')


def write(
    directory: str | os.PathLike,
    generator: Trained,
    transfer: Trained | None,
    dtype: str = 'float32',
    more: Sequence[Trained] = (),
    notes: dict | None = None,
) -> dict:
    """Export the models and write the bundle, which appears when it is complete.

    Args:
      directory: folder to write.
      generator: the image generator.
      transfer: the landmark transfer; None: the driver's landmarks as they are.
      dtype: type of the stored weights, one of `DTYPES`; what it costs goes into the card.
      more: other transfers that the bundle holds beside the first.
      notes: plain values that go into the card as they are.

    Returns:
      The model card.

    Raises:
      UserError: as `programs.check_fit` and `check_names`.
    """
    transfers = [one for one in (transfer, *more) if one is not None]
    check_names(transfers)
    for one in (transfer, *more):
        programs.check_fit(generator, one)
    functions, files, weights = {}, {}, {}
    parts = {'generator': (generator, programs.generator_functions(generator, dtype))}
    for number, one in enumerate(transfers, 1):
        end = '' if number == 1 else f'_{number}'
        exported = programs.transfer_functions(one, generator.size, dtype)
        parts[f'transfer{end}'] = one, {f'{name}{end}': exported[name] for name in exported}
    for part, (model, exported) in parts.items():
        functions |= exported
        weights |= dict.fromkeys(exported, f'{part}.safetensors')
        names = {name for function in exported.values() for name in function.names}
        files[f'{part}.safetensors'] = programs.weights_file(programs.kept(model, names), dtype)
    if programs.motion_of(generator) == interface.LANDMARKS:
        carry = programs.carry_functions(generator.points, generator.size)
        functions, weights = functions | carry, weights | dict.fromkeys(carry)
    files |= {f'{name}.jaxexport': function.program for name, function in functions.items()}
    check_programs(files)
    card = model_card.card(generator, transfers, functions, files, weights)
    card['dtype'] = {'weights': dtype}
    if dtype != 'float32':
        for one in transfers or [None]:  # the largest cost of each kind
            costs = precision.cost(generator, one, dtype).items()
            card['dtype'] |= {k: max(value, card['dtype'].get(k, value)) for k, value in costs}
    card |= {'notes': notes} if notes else {}
    files[bundle.CARD] = (json.dumps(card, indent=1) + '\n').encode()
    write_folder(directory, files)
    return card


def check_names(transfers: Sequence[Trained]) -> None:
    """Check that a bundle's transfers can be told apart, and are not too many.

    Raises:
      UserError: two are of one system, or there are too many.
    """
    names = [one.system for one in transfers]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UserError(f'--transfer: two of {sorted(twice)[0]}; a bundle holds one of each system')
    if len(names) > (most := trust.cards.MOST_TRANSFERS):
        raise UserError(f'--transfer: {len(names)} of them; a bundle holds {most} at most')


def check_programs(files: dict[str, bytes]) -> None:
    """Check that a bundle with these files would be read again, and remember that it may be.

    Raises:
      UserError: a program has an operation that bundles do not allow.
    """
    for name, content in files.items():
        if not name.endswith('.jaxexport'):
            continue
        try:
            trust.programs.examine(content)
        except Refused as error:
            raise UserError(f'{name}: {error}; no bundle may hold that') from None
        trust.programs.remember(content)


def check_target(directory: str | os.PathLike, overwrite: bool) -> None:
    """Check that the target is free or may be replaced.

    Raises:
      UserError: there is something that is not to be replaced.
    """
    target = storage.path(directory)
    if not storage.exists(target):
        return
    if not storage.exists(target / bundle.CARD):
        raise UserError(f'--out {directory}: exists and is not a bundle; name another folder')
    if not overwrite:
        raise UserError(f'--out {directory}: exists already; pass --overwrite to replace it')


def write_folder(directory, files: dict[str, bytes]) -> None:
    """Write all files under a temporary name, then rename once; an old bundle is moved away.

    A bucket cannot rename: there the card is removed first and written last.
    """
    target = storage.path(directory)
    if not storage.is_local(directory):
        storage.remove(target / bundle.CARD)
        storage.remove_tree(target)
        for name in sorted(files, key=lambda name: name == bundle.CARD):
            storage.write(target / name, files[name])
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial, old = (
        target.parent / f'.{target.name}.{os.getpid()}{end}' for end in (storage.PARTIAL, '.old')
    )
    try:
        for name, content in files.items():
            storage.write(partial / name, content)
        if target.exists():
            target.rename(old)
        partial.rename(target)
    finally:
        for left in (partial, old):
            if left.exists():
                left.rmtree()


def main(arguments: list[str] | None = None) -> int:
    """Run `reenact-jax export`; return its exit code."""
    parser = errors.Parser(
        prog='reenact-jax export',
        description=__doc__,
    )
    add = parser.add_argument
    add_generator(parser)
    add(
        '--transfer', metavar='WORKDIR', action='append', default=[],
        help='run that trained the landmark model; several times for several models, the first is '
        'the default; without it: none',
    )  # fmt: skip
    add('--out', required=True, metavar='BUNDLE', help='folder to write')
    add(
        '--dtype', choices=DTYPES, default='float32',
        help='type of the stored weights; default float32. All computations stay in float32; what '
        'rounding costs is measured and printed',
    )  # fmt: skip
    add('--overwrite', action='store_true', help='replace a bundle that is there')
    add(
        '--notes', metavar='FILE.json',
        help='an object that goes into the card as it is: figures, limits, what the data were',
    )  # fmt: skip
    args = parser.parse_args(arguments)
    check_target(args.out, args.overwrite)
    notes = read_notes(args.notes) if args.notes else None
    command_line.say_device()
    given, args.transfer = args.transfer, args.transfer[0] if args.transfer else None
    generator, transfer = read_workdirs(args)
    more = [_read_transfer(workdir) for workdir in given[1:]]
    card = write(args.out, generator, transfer, args.dtype, more, notes)
    summary = {'out': args.out, 'generator': generator.system, 'size': card['size']}
    names = [one.system for one in (transfer, *more) if one is not None]
    summary |= {'transfer': ', '.join(names) or bundle.NO_TRANSFER}
    summary |= {'dtype': card['dtype']}
    print(json.dumps(summary | {'points': card['points'], 'files': len(card['files']) + 1}))
    return 0


def read_notes(path: str) -> dict:
    """Read what a user has to say on a model.

    Raises:
      UserError: the file is not there, or holds no JSON object.
    """
    try:
        return trust.cards.parse(tables.text(path, bundle.MAX_CARD).encode())
    except (ValueError, RecursionError) as error:
        raise UserError(f'--notes {path}: not a JSON object ({error})') from None


def add_workdirs(parser: argparse.ArgumentParser) -> None:
    """Add the flags that `read_workdirs` reads."""
    add_generator(parser)
    add = parser.add_argument
    add('--transfer', metavar='WORKDIR', help='run that trained the landmark model; default: none')


def add_generator(parser: argparse.ArgumentParser) -> None:
    """Add the flag of the image generator."""
    parser.add_argument(
        '--generator', required=True, metavar='WORKDIR', help='run that trained the image generator'
    )


def read_workdirs(args: argparse.Namespace) -> tuple[Trained, Trained | None]:
    """Read the generator and the transfer.

    Raises:
      UserError: one is not what its flag says.
    """
    generator = trained.read(args.generator)
    _check_kind('--generator', generator, 'render')
    if args.transfer:
        return generator, _read_transfer(args.transfer)
    return generator, own_transfer(generator)


def _read_transfer(workdir: str) -> Trained:
    transfer = trained.read(workdir)
    _check_kind('--transfer', transfer, 'transfer')
    return transfer


def own_transfer(generator: Trained) -> Trained | None:
    """Return the transfer of a generator without another: none for landmarks, else its own."""
    if programs.motion_of(generator) == interface.LANDMARKS:
        return None
    return generator if interface.able(generator.module, generator.nets, 'transfer') else None


def _check_kind(flag: str, part: Trained, function: str) -> None:
    if not interface.able(part.module, part.nets, function):
        raise UserError(
            f'{flag}: this run trained {part.system}, which has no {function} as configured; '
            'give another workdir'
        )
