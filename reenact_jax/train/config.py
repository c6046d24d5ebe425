"""What a run is: its settings, the config that carries them, and the checks before it starts.

A config is an `ml_collections.ConfigDict` with the fields of `Run` at the top and the system's
`Hparams` under `hparams`; every field is there with its default, so that any of them can be set on
the command line (`--config.batch_size=8`, `--config.hparams.width=64`). Types, ranges and choices
stand once, in the dataclasses. Nothing here opens data or starts a device: a wrong value is
reported within seconds.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping

import ml_collections
from ml_collections import config_dict

from reenact_jax import systems
from reenact_jax.common import settings
from reenact_jax.common.errors import UserError
from reenact_jax.common.settings import setting
from reenact_jax.systems.interface import member
from reenact_jax.train import tuning

SYSTEM = 'system'
HPARAMS = 'hparams'


@dataclasses.dataclass(frozen=True)
class Run:
    """Settings of a run that are not a paper's. `None` means that the system decides."""

    # Data
    data: str | None = setting(None, doc='folder of the training shards')
    points: str = setting(
        '68', choices=('68', '106', '68c'), doc='point set of the landmarks, see data/tracks.py'
    )
    size: int | None = setting(
        None, low=8, high=4096, doc='side of the images in training, pixels; None: as stored'
    )
    flip: bool = setting(False, doc='whether half of the pairs are mirrored')
    colour: float = settings.share(
        0.0, 'strength of the colour augmentation, see preprocess.Augment'
    )
    affine: float = settings.share(
        0.0, 'strength of the affine augmentation, see preprocess.Augment'
    )
    stabilise: str = setting(
        'track', choices=('track', 'frame'), doc='rule of the crops, see preprocess.py'
    )
    au_bound: float = settings.share(
        0.05, 'largest mean |AU difference| of partners of the same expression'
    )
    bad_record_budget: float = settings.share(
        0.001, 'largest share of damaged records, over all hosts'
    )
    threads: int = setting(
        0,
        low=0,
        high=256,
        doc='reading threads of each host; 0: one for each core, from a bucket as many as needed',
    )
    workers: int = setting(
        0,
        low=0,
        high=256,
        doc='reading processes of each host, each with so many threads; 0: the trainer reads',
    )
    requests: int = setting(
        64, low=1, high=1024, doc='requests of a reading process in flight to a bucket'
    )
    cache: str | None = setting(
        None, doc='folder of each host for pieces of data from a bucket; None: none'
    )
    cache_gb: float = setting(10.0, low=0.001, high=1e6, doc='largest size of that folder, GB')
    # Length and size
    stages: tuple[str, ...] = setting((), doc='names of the stages to train; empty: all, in order')
    # Weights to start from, what does not move, and how fast the rest does
    init: tuple[str, ...] = setting(
        (), doc='runs and bundles to start from, WORKDIR|BUNDLE[:NETWORK,...], see pretrained.py'
    )
    freeze: tuple[str, ...] = setting((), doc='networks that do not move, NAME,NAME')
    rate_factors: str = setting(
        '', doc='factors of learning rates, by network or player: NAME=FACTOR,NAME=FACTOR'
    )
    batch_size: int | None = settings.batch(
        None, "rows of a step over all devices; None: the stage's"
    )
    accumulate: int = setting(
        1, low=1, high=4096, doc='microbatches of a step; gradients are averaged'
    )
    scan: int = setting(1, low=1, high=10000, doc='steps in one compiled call')
    seed: int = setting(
        0, low=0, high=2**31 - 1, doc='random seed of initialisation, data order and noise'
    )
    # Device
    dtype: str = setting(
        'float32', choices=('float32', 'bfloat16'), doc='compute dtype, see binding.py'
    )
    sharding: str = setting(
        'replicated',
        choices=('replicated', 'fsdp'),
        doc='how parameters lie on the devices, see sharding.py',
    )
    mesh: str = setting(
        '', doc="devices as DATAxFSDP, such as 2x16; '': FSDP is a slice with sharding=fsdp, else 1"
    )
    fences: bool = setting(
        False, doc='keep compilers from fusing across normalisations, see nets/blocks.py; for v6e'
    )
    ema_decay: float = settings.share(
        0.999, 'decay of the averaged networks, see step.py (ours); 0: off'
    )
    compilation_cache: str | None = setting(
        None, doc="folder of compiled programs; None: ~/.cache/reenact_jax; '': none"
    )
    # Checkpoints and logs
    checkpoint_every: int = settings.steps(1000, 'steps between checkpoints', low=1)
    checkpoint_seconds: float = setting(
        900.0,
        low=0,
        high=1e7,
        doc='seconds after which a checkpoint is written in any case; 0: by steps alone',
    )
    keep: int = setting(2, low=1, high=1_000_000, doc='number of checkpoints kept of each stage')
    log_every: int = settings.steps(50, 'steps between lines of metrics.jsonl', low=1)
    preview_every: int = settings.steps(500, 'steps between pictures in TensorBoard; 0: none')
    nan_limit: int = settings.steps(
        20, 'number of steps of a stage that may be skipped for NaN or infinity of one player'
    )


# A resumed run may differ in these: they leave the numbers and their order as they are, but for
# the size of a batch, with which a run may move to more or fewer devices (all schedules count
# steps). The data are recognised by their digest, not by their place. A run that has begun keeps to
# the weights that it started from, whatever `init` says. Of a system's fields those that end in
# `steps` may change as well: a run may be made longer.
FREE = frozenset(
    {'data', 'threads', 'bad_record_budget', 'stages', 'scan', 'sharding', 'nan_limit', 'keep'}
    | {'checkpoint_every', 'checkpoint_seconds', 'log_every', 'preview_every', 'compilation_cache'}
    | {'fences', 'batch_size', 'accumulate', 'workers', 'requests', 'cache', 'cache_gb', 'init'}
    | {'mesh'}
)
A_HOSTS_OWN = frozenset(  # may differ between hosts
    {'data', 'threads', 'workers', 'requests', 'cache', 'cache_gb', 'compilation_cache'}
)


def build(system: str, run: Mapping, hparams: Mapping) -> ml_collections.ConfigDict:
    """Make the config of `system` with all its fields.

    Args:
      system: a name or a module's path, see `systems.find`.
      run, hparams: departures from the defaults.

    Raises:
      UserError: names an unknown system, an unknown field or a bad value.
    """
    values = {SYSTEM: system, **_complete(Run, run, 'config')}
    values[HPARAMS] = _complete(systems.find(system).Hparams, hparams, f'config.{HPARAMS}')
    return ml_collections.ConfigDict(values)


def resolve(config: Mapping | ml_collections.ConfigDict) -> tuple[types.ModuleType, Run, object]:
    """Check a config field by field and turn it into (system module, Run, Hparams).

    Fields that have other names today are read as those.

    Raises:
      UserError: names the field that is unknown, of a wrong type, NaN, out of range, missing
        (`data`), or impossible beside another.
    """
    values = config.to_dict() if isinstance(config, ml_collections.ConfigDict) else dict(config)
    if SYSTEM not in values:
        raise UserError(f'config.{SYSTEM}: missing; make the config with config.build')
    system = systems.find(values.pop(SYSTEM))
    given = _renamed(system, values.pop(HPARAMS, {}))
    if 'freeze' in values:
        values['freeze'] = tuning.names(values['freeze'])
    run = settings.build(Run, values, 'config')
    hparams = settings.build(system.Hparams, given, f'config.{HPARAMS}')
    _together(run)
    return system, run, hparams


def preset(presets: Mapping[str, typing.Any], name: str) -> typing.Any:
    """Return one entry of a config's presets.

    Raises:
      UserError: there is no such preset; lists those that there are.
    """
    if name not in presets:
        raise UserError(f'--config: no preset {name!r}; there are {", ".join(presets)}')
    return presets[name]


def chosen(stages: tuple, run: Run) -> dict:
    """Return {number in the system's table: stage} of those that this run trains, in order.

    Raises:
      UserError: a name is unknown, or nothing is left to train.
    """
    names = [stage.name for stage in stages]
    for name in run.stages:
        if name not in names:
            raise UserError(f'config.stages: no stage {name!r}; there are {", ".join(names)}')
    if not stages:
        raise UserError('config.hparams: every stage has 0 steps, nothing to train')
    sized = [
        stage if run.batch_size is None else stage._replace(batch_size=run.batch_size)
        for stage in stages
    ]
    return {n: stage for n, stage in enumerate(sized) if not run.stages or stage.name in run.stages}


def to_json(config: Mapping | ml_collections.ConfigDict) -> dict:
    """Return the resolved config as plain values (for checkpoints, config.json and comparison)."""
    _, run, hparams = resolve(config)
    return {SYSTEM: config[SYSTEM], **_plain(run), HPARAMS: _plain(hparams)}


def differences(old: Mapping, new: Mapping) -> list[str]:
    """List the fields in which two results of `to_json` differ and a resumed run may not.

    A field that the older one lacks had its default; one with another name today is read as that.

    Returns:
      One line for each field: `config.seed: 0 before, 1 now`.
    """
    old = {name: _as_now(value) for name, value in upgraded(old).items()}

    def flat(values):
        top = {f'config.{name}': value for name, value in values.items() if name not in FREE}
        inner = top.pop(f'config.{HPARAMS}', {}).items()
        fixed = {name: value for name, value in inner if not name.endswith('steps')}
        return top | {f'config.{HPARAMS}.{name}': value for name, value in fixed.items()}

    old, new = flat(old), flat(new)
    return [
        f'{name}: {old.get(name)!r} before, {new.get(name)!r} now'
        for name in sorted(old | new)
        if old.get(name) != new.get(name)
    ]


def upgraded(values: Mapping) -> dict:
    """Give a stored result of `to_json` the fields of today: new names, defaults for new ones."""
    values = dict(values)
    schema = systems.find(values[SYSTEM]) if SYSTEM in values else None
    if schema is not None:
        hparams = _renamed(schema, values.get(HPARAMS, {}))
        values[HPARAMS] = settings.defaults(schema.Hparams) | hparams
    return {**settings.defaults(Run), **values}


def _as_now(value):
    """Convert tuples to lists, as JSON has them."""
    if isinstance(value, Mapping):
        return {name: _as_now(item) for name, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _renamed(system: types.ModuleType, hparams: Mapping) -> dict:
    """Give hparams the names of today: a system lists its old ones as `RENAMED`.

    A config has every field of its day. One without a field of `EARLIER` is older than the field,
    and its networks are those of that day.
    """
    renamed = member(system, 'RENAMED')
    today = {name: value for name, value in hparams.items() if name not in renamed}
    for name, rename in renamed.items():
        if name in hparams:
            today |= rename(hparams[name])
    return member(system, 'EARLIER') | today if today else today


def _complete(schema: type, departures: Mapping, where: str) -> dict:
    """Return all fields of `schema` as values for a ConfigDict, None as a typed placeholder."""
    checked = settings.build(schema, {**settings.defaults(schema), **departures}, where)
    values = {field.name: getattr(checked, field.name) for field in dataclasses.fields(schema)}
    hints = typing.get_type_hints(schema)
    return {
        name: config_dict.placeholder(_kind(hints[name])) if value is None else value
        for name, value in values.items()
    }


def _kind(hint) -> type:
    """Return the type beside None in `T | None`."""
    return next(kind for kind in typing.get_args(hint) if kind is not type(None))


def _plain(instance) -> dict:
    """Return the fields of a settings dataclass, tuples as lists."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in dataclasses.asdict(instance).items()
    }


def _together(run: Run) -> None:
    """Reject settings that are valid alone but contradict each other."""
    if not run.data:
        raise UserError(
            'config.data: not set; give the shard set to train on: --data SHARDS '
            '(`reenact-jax prepare` makes one from videos or of synthetic heads)'
        )
    size = run.batch_size
    if size is not None and size % 2:
        raise UserError(
            f'config.batch_size: {size} is odd; rows come in pairs of different identities'
        )
    if size is not None and size % (2 * run.accumulate):
        raise UserError(
            f'config.batch_size: {size} does not give each of config.accumulate = '
            f'{run.accumulate} microbatches an even number of rows'
        )
    tuning.factors(run.rate_factors)
    if len(set(run.stages)) != len(run.stages):
        raise UserError(f'config.stages: a name stands twice in {list(run.stages)}')
