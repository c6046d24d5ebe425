"""Train a system: all its stages in order, resumable at any moment.

    reenact-jax train --config aan:small --data data/people --workdir out/aan

`--config FILE[:PRESET]` names the paper's file in configs/ and one of its presets. Every field of
the config can be set by `--config.FIELD=VALUE` and every number of the paper by
`--config.hparams.FIELD=VALUE`. A wrong name or value is refused before anything starts. The same
command with the same --workdir resumes: after a crash, a SIGTERM (which saves and exits with
code 42), or to add stages. The folder then holds config.json, checkpoints/, metrics.jsonl and
tensorboard/ (`tensorboard --logdir=WORKDIR`).

Fine-tuning: `--init WORKDIR|BUNDLE[:NETWORK,...]` starts from the weights of another run or of a
bundle, as far as names and shapes fit; a table shows what does. `--config.freeze=NETWORK,...` keeps
networks as they are, `--config.rate_factors=NAME=FACTOR,...` changes learning rates by network or
player.

Several hosts: start the same command on each, with a --workdir that all of them see, and either
--distributed (where the cluster's environment names the processes: Slurm, Cloud TPU, Open MPI, K8s)
or --coordinator=HOST:PORT --num_processes=N --process_id=I. When one of them is lost, the others
end too, at the latest after --heartbeat_timeout seconds; then start all of them again.
"""

import logging
from typing import Any

import absl.logging
import jax
from absl import flags

from reenact_jax.common import command_line
from reenact_jax.common.errors import UserError
from reenact_jax.train import agreement, config, peers

CLUSTER = ('coordinator', 'num_processes', 'process_id')


def define_flags(values: flags.FlagValues) -> None:
    """Define the command's flags."""
    command_line.define_config(values)
    command_line.define_data(values)
    text = 'folder of the run; created if it does not exist'
    flags.DEFINE_string('workdir', None, text, flag_values=values)
    text = (
        'WORKDIR|BUNDLE[:NETWORK,...] whose weights the run starts from; may be given several '
        'times; a run that resumes ignores it'
    )
    flags.DEFINE_multi_string('init', [], text, flag_values=values)
    text = "join the other processes, which the cluster's environment names"
    flags.DEFINE_bool('distributed', False, text, flag_values=values)
    flags.DEFINE_string('coordinator', None, 'address of process 0, HOST:PORT', flag_values=values)
    flags.DEFINE_integer('num_processes', None, 'number of processes', flag_values=values)
    flags.DEFINE_integer('process_id', None, 'number of this process, from 0', flag_values=values)
    text = 'seconds of silence after which another process counts as lost, and the run ends'
    flags.DEFINE_integer('heartbeat_timeout', 100, text, lower_bound=1, flag_values=values)
    text = (
        'number of steps to trace with jax.profiler, after the first call; goes to WORKDIR/profile'
    )
    flags.DEFINE_integer('profile', 0, text, lower_bound=0, flag_values=values)


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Returns:
      Its exit code.
    """
    values = command_line.start(define_flags, __doc__, arguments, ('config', 'workdir'))
    if values is None:
        return 0
    if values.init:
        values.config.init = tuple(values.init)
    _join(values)  # first, so that a config which is wrong on one host ends all of them
    with peers.leaving_with_them():
        checked = agreement.reach(lambda: config.to_json(values.config))
    command_line.say_device()
    _show_logs()

    from reenact_jax.train import loop  # late: a wrong config is refused without its seconds

    return loop.train(checked, values.workdir, values.profile)


def _join(values: flags.FlagValues) -> None:
    """Join the other processes, if the flags name any."""
    cluster: dict[str, Any] = {name: values[name].value for name in CLUSTER}
    missing = [f'--{name}' for name, value in cluster.items() if value is None]
    patience: dict[str, Any] = {'heartbeat_timeout_seconds': values.heartbeat_timeout}
    if values.distributed:
        jax.distributed.initialize(**patience)
    elif not missing:
        if not 0 <= cluster['process_id'] < cluster['num_processes']:
            raise UserError(f'--process_id: {cluster["process_id"]} of {cluster["num_processes"]}')
        jax.distributed.initialize(*cluster.values(), **patience)
    elif len(missing) < len(CLUSTER):
        raise UserError(f'{", ".join(missing)}: missing; give all of coordinator, number and id')


def _show_logs() -> None:
    """Show warnings of all libraries (orbax narrates at INFO), our notes from the first process."""
    if not flags.FLAGS.is_parsed():  # ours are in `values`; absl and grain look here
        flags.FLAGS.mark_as_parsed()
    absl.logging.use_absl_handler()
    absl.logging.set_verbosity(absl.logging.WARNING)
    absl.logging.get_absl_handler().addFilter(_once)
    absl.logging.get_absl_handler().setFormatter(_Plain())
    logging.getLogger('asyncio').setLevel(logging.CRITICAL)  # as `_once`
    first = jax.process_index() == 0
    logging.getLogger('reenact_jax').setLevel(logging.INFO if first else logging.WARNING)


class _Plain(absl.logging.PythonFormatter):
    """Notes as plain lines; warnings and errors with their time, process and place."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record as a line."""
        return record.getMessage() if record.levelno <= logging.INFO else super().format(record)


def _once(record: logging.LogRecord) -> bool:
    """Drop what orbax logs of an exception in each of its threads: it also raises it."""
    return record.exc_info is None or 'orbax' not in record.pathname
