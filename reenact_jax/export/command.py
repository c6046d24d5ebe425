"""Join trained models into a bundle: one folder that animates portraits with jax alone.

    reenact-jax export --generator out/aan --transfer out/ldnet --out out/bundle

Any system's landmark transfer goes with any system's generator, if both were trained with the same
point set. Without --transfer the driver's landmarks are used as they are; a system whose motion is
of another kind (keypoints) brings its own transfer. bundle.py says what is in the folder and how to
run it.
"""

import argparse
import json
import os

from reenact_jax import bundle, trust
from reenact_jax.common import command_line, errors, storage
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
) -> dict:
    """Export both models and write the bundle, which appears when it is complete.

    Args:
      directory: folder to write.
      generator: the image generator.
      transfer: the landmark transfer; None: the driver's landmarks as they are.
      dtype: type of the stored weights, one of `DTYPES`; what it costs goes into the card.

    Returns:
      The model card.

    Raises:
      UserError: as `programs.check_fit`.
    """
    programs.check_fit(generator, transfer)
    functions, files, weights = {}, {}, {}
    parts = {'generator': (generator, programs.generator_functions(generator, dtype))}
    if transfer is not None:
        exported = programs.transfer_functions(transfer, generator.size, dtype)
        parts['transfer'] = (transfer, exported)
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
    card = model_card.card(generator, transfer, functions, files, weights)
    card['dtype'] = {'weights': dtype}
    if dtype != 'float32':
        card['dtype'] |= precision.cost(generator, transfer, dtype)
    files[bundle.CARD] = (json.dumps(card, indent=1) + '\n').encode()
    write_folder(directory, files)
    return card


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
    add_workdirs(parser)
    add('--out', required=True, metavar='BUNDLE', help='folder to write')
    add(
        '--dtype', choices=DTYPES, default='float32',
        help='type of the stored weights; default float32. All computations stay in float32; what '
        'rounding costs is measured and printed',
    )  # fmt: skip
    add('--overwrite', action='store_true', help='replace a bundle that is there')
    args = parser.parse_args(arguments)
    check_target(args.out, args.overwrite)
    command_line.say_device()
    generator, transfer = read_workdirs(args)
    card = write(args.out, generator, transfer, args.dtype)
    summary = {'out': args.out, 'generator': generator.system, 'size': card['size']}
    summary |= {'transfer': transfer.system if transfer else bundle.NO_TRANSFER}
    summary |= {'dtype': card['dtype']}
    print(json.dumps(summary | {'points': card['points'], 'files': len(card['files']) + 1}))
    return 0


def add_workdirs(parser: argparse.ArgumentParser) -> None:
    """Add the flags that `read_workdirs` reads."""
    add = parser.add_argument
    add(
        '--generator', required=True, metavar='WORKDIR', help='run that trained the image generator'
    )
    add('--transfer', metavar='WORKDIR', help='run that trained the landmark model; default: none')


def read_workdirs(args: argparse.Namespace) -> tuple[Trained, Trained | None]:
    """Read the generator and the transfer.

    Raises:
      UserError: one is not what its flag says.
    """
    generator = trained.read(args.generator)
    _check_kind('--generator', generator, 'render')
    transfer = trained.read(args.transfer) if args.transfer else own_transfer(generator)
    if transfer is not None:
        _check_kind('--transfer', transfer, 'transfer')
    return generator, transfer


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
