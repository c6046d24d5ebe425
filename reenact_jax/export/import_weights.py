"""Weights of a paper's official program: as a bundle, or as a run to go on from.

    reenact-jax import-weights fomm vox-cpk.pth.tar --out out/fomm_bundle
    reenact-jax import-weights fomm vox-cpk.pth.tar --out out/fomm_adv \\
        --config fomm:adv --data DATA --config.hparams.vgg_weights vgg19.safetensors

FILE is a checkpoint that PyTorch wrote, in its old format or as a zip, or .safetensors with names
PART.NAME (kp_detector.kp.weight). It is read without unpickling: no code in it can run.

Without --config the result is a bundle. With --config and --data it is a workdir at step 0, which
`train` goes on from with the same --config, --data and overrides; what the file lacks (a
discriminator) starts anew. The networks' sizes are read off the tensors. What tensors do not say is
the paper's: the temperature, the variance; say with --size what images the networks were trained
on. The published weights came with a program for PyTorch 1.0.0, whose sampling took -1 and 1 for
the centres of the border pixels. Weights of PyTorch 1.3 or later need --noalign_corners, with
--config also --config.hparams.align_corners=False.
"""

import json
from collections.abc import Sequence

import jax
import numpy as np
from absl import flags

from reenact_jax.common import command_line, storage
from reenact_jax.common.errors import UserError
from reenact_jax.data.tracks import Batch, DataInfo
from reenact_jax.export import command as export
from reenact_jax.export import torch_files
from reenact_jax.export.trained import Trained
from reenact_jax.geometry import layouts
from reenact_jax.systems import fomm
from reenact_jax.systems.fomm import official
from reenact_jax.train import config, feed, jobs, workdirs
from reenact_jax.train.checkpoints.places import Place
from reenact_jax.train.checkpoints.store import Store
from reenact_jax.train.jobs import Job

SYSTEMS = ('fomm',)
NEEDED = ('kp_detector', 'generator')
SOURCE = 'https://github.com/AliaksandrSiarohin/first-order-model'
LICENCE = "unknown: that of the file's author; the official program's code is MIT"
State = dict[str, dict[str, np.ndarray]]


def define_flags(values: flags.FlagValues) -> None:
    """Define the command's flags."""
    command_line.define_config(values)
    command_line.define_data(values)
    text = 'folder to write: a bundle, or with --config a workdir'
    flags.DEFINE_string('out', None, text, flag_values=values)
    text = 'side of the images, pixels, of a bundle'
    flags.DEFINE_integer('size', 256, text, lower_bound=32, upper_bound=4096, flag_values=values)
    text = 'point set by which a bundle finds and cuts faces'
    flags.DEFINE_enum('points', '68', sorted(layouts.LAYOUTS), text, flag_values=values)
    text = 'where the file comes from, for the card'
    flags.DEFINE_string('source', SOURCE, text, flag_values=values)
    text = "the weights' licence, for the card"
    flags.DEFINE_string('licence', LICENCE, text, flag_values=values)
    text = 'how the weights were trained to sample: as before PyTorch 1.3, or as since'
    flags.DEFINE_bool('align_corners', True, text, flag_values=values)
    flags.DEFINE_bool('overwrite', False, 'replace a bundle that is there', flag_values=values)


def main(arguments: list[str] | None = None) -> int:
    """Run `reenact-jax import-weights`; return its exit code."""
    system, file, rest = _split(list(arguments or ()))
    args = command_line.start(define_flags, __doc__, rest, () if system is None else ('out',))
    if args is None:
        return 0
    if system not in SYSTEMS or file is None:
        raise UserError(
            f'import-weights {system or ""}: expected SYSTEM FILE; systems: {", ".join(SYSTEMS)}'
        )
    command_line.say_device()
    state, record = read(file, args.source, args.licence)
    if args.config is not None:
        summary = _workdir(args, state, file, record)
    else:
        export.check_target(args.out, args.overwrite)
        record['align_corners'] = args.align_corners
        model = as_trained(state, args.size, args.points, record, args.align_corners)
        card = export.write(args.out, model, model)
        summary = {'files': len(card['files']) + 1, 'size': card['size']}
    summary |= {'align_corners': args.align_corners}
    print(json.dumps({'out': args.out, 'system': system, **record['weights'], **summary}))
    return 0


def _split(arguments: Sequence[str]) -> tuple[str | None, str | None, list[str]]:
    """Take the system and the file off the front."""
    front = 0
    while front < min(2, len(arguments)) and not arguments[front].startswith('-'):
        front += 1
    system, file = (*arguments[:front], None, None)[:2]
    return system, file, list(arguments[front:])


def read(file: str, source: str = SOURCE, licence: str = LICENCE) -> tuple[State, dict]:
    """Read the official networks in a file.

    Returns:
      part of the checkpoint -> name -> tensor; a record of where they come from.

    Raises:
      UserError: the file holds no such networks.
    """
    state = torch_files.read(file, (*NEEDED, 'discriminator'))
    if missing := [part for part in NEEDED if not state.get(part)]:
        raise UserError(f'{file}: has no {missing[0]}; expected a checkpoint of {SOURCE}')
    name = storage.path(file).name
    weights = {'file': name, 'sha256': storage.file_digest(file)}
    return state, {'weights': weights | {'source': source, 'licence': licence}}


def as_trained(
    state: State, size: int, points: str, record: dict, align_corners: bool = True
) -> Trained:
    """Return the networks as if they had been trained here, without the discriminator.

    Args:
      state: of `read`.
      size: side of the images, pixels.
      points: point set by which faces are cut.
      record: for the card.
      align_corners: how the networks were trained to sample.
    """
    sizes = official.hparams({part: state[part] for part in NEEDED})
    # A bundle does not have the loss that `scales` is of.
    hp = fomm.Hparams(**sizes, align_corners=align_corners, scales=(1.0,))
    nets = fomm.networks(hp, DataInfo(1, 1, points))
    image = jax.ShapeDtypeStruct((2, 2, size, size, 3), np.float32)
    template = jax.eval_shape(
        lambda key: fomm.init(hp, nets, key, Batch(image=image)), jax.random.key(0)
    )
    variables = official.variables(template, {part: state[part] for part in NEEDED}, _depths(hp))
    return Trained('fomm', fomm, hp, nets, variables, points, size, record)


def _depths(hp: fomm.Hparams) -> dict[str, int]:
    return {'KP': hp.kp_depth, 'M': hp.motion_depth}


def _workdir(args: flags.FlagValues, state: State, file: str, record: dict) -> dict:
    """Write a run that stands before its first step, with the networks of the file."""
    values = config.to_json(args.config)
    if values[config.SYSTEM] != 'fomm':
        raise UserError(f'--config: of {values[config.SYSTEM]}, and {file} is of fomm')
    shards, info, data = feed.open_data(config.resolve(values)[1])
    side = int(shards.columns.size[0])
    job = jobs.make_abstract_job(values, info, side)
    job = job._replace(shards=shards, record=data)
    networks = _networks(job, state, file, args.align_corners)
    workdirs.claim(args.out, values)
    store = Store(args.out)
    try:
        if store.newest() is not None:
            raise UserError(f'--out {args.out}: a run that has begun; name another folder')
        (number, stage), *_ = job.chosen.items()
        fresh = job.fresh(stage, None)
        begun = job.fresh(stage, {**fresh.variables, **networks})
        place = Place(number, stage.name, 0)
        source = feed.open_feed(shards, stage, number, job.run, job.mesh, None)
        try:
            position = {**place._asdict(), 'finished': False, 'loader': source.state()}
        finally:
            source.close()
        store.save(place, begun, position | {'data': data} | record, values)
    finally:
        store.close()
    return {'networks': sorted(networks), 'anew': sorted(set(job.nets) - set(networks))}


def _networks(job: Job, state: State, file: str, align_corners: bool) -> dict:
    """Return the variables of the networks that the file has, if they are of the config's sizes.

    Raises:
      UserError: a size or the sampling differs; the message says how to set it.
    """
    judged = 'D' in job.nets and 'discriminator' in state
    state = {part: one for part, one in state.items() if part in NEEDED or judged}
    fields = official.hparams(state) | {'align_corners': align_corners}
    for name, value in fields.items():
        own = getattr(job.hparams, name)
        if own != value and not name.endswith('_most') and name != 'most':
            raise UserError(
                f'config.hparams.{name}: {own}, and the networks of {file} have {value}; give '
                f'--config.hparams.{name}={value}'
            )
    (stage, *_) = job.chosen.values()
    template = {n: one for n, one in job.shapes(stage).variables.items() if n != 'D' or judged}
    return official.variables(template, state, _depths(job.hparams))
