"""Speed of a config on this machine, beside what the machine can do.

    reenact-jax bench steps --config aan:small --data data/people --out bench.json

Prints for every stage: the seconds of compilation with an empty cache and with a full one; the
frames a second of the training step on a batch in memory and on batches as they are read; its
arithmetic as XLA counts it and as a share of the fastest matrix product; the share of time spent
waiting for data; the loader's frames a second beside raw JPEG decoding with as many threads; and
for how long a checkpoint delays the step. Then it prints the milliseconds of encoding or
identifying a source and of rendering or transferring a frame; --use prints these alone. Only the
file --out is kept.
"""

import json
import platform

import jax
from absl import flags

from reenact_jax.bench import device, host
from reenact_jax.common import command_line, storage
from reenact_jax.train import config, jobs


def measure(values: dict, seconds: float, training: bool = True) -> dict:
    """Measure a config on this machine and print each number.

    Args:
      values: a resolved config, `config.to_json`.
      seconds: length of each measurement.
      training: False leaves the stages out.

    Returns:
      {'machine': ..., 'peak, GFLOP/s': ..., stage: {name: number}, 'use': {...}}, and the config.
    """
    job = jobs.make_job(values)
    peak = device.peak(job.run.dtype, seconds) / 1e9
    report = {'config': values, 'machine': machine(), 'dtype': job.run.dtype}
    report['peak, GFLOP/s'] = _say('peak, GFLOP/s', peak)
    for number, stage in job.chosen.items() if training else ():
        print(f'\n{stage.name}: {stage.batch_size} rows x {stage.frames} frames')
        numbers = {}
        for part in (host.reading, device.training):
            for name, value in part(job, number, seconds):
                numbers[name] = _say(name, value)
                if name == 'step, GFLOP/s':
                    name = 'step, share of the peak'
                    numbers[name] = _say(name, value / peak)
        report[stage.name] = numbers
    print()
    report['use'] = {name: _say(name, value) for name, value in device.using(job, seconds)}
    return report


def machine() -> dict:
    """Describe the machine and the software that the numbers depend on."""
    kinds = sorted({one.device_kind for one in jax.local_devices()})
    return {
        'devices': f'{jax.local_device_count()} x {", ".join(kinds)} ({jax.default_backend()})',
        'host': f'{platform.machine()}, {platform.system()}',
        'jax': jax.__version__,
        'python': platform.python_version(),
    }


def _say(name: str, value: float) -> float:
    print(f'  {name:<38}{value:>12.4g}', flush=True)
    return value


def define_flags(values: flags.FlagValues) -> None:
    """Define the command's flags."""
    command_line.define_config(values)
    command_line.define_data(values)
    flags.DEFINE_float(
        'seconds', 5.0, 'length of every measurement in seconds', 0.1, flag_values=values
    )
    flags.DEFINE_boolean(
        'use', False, 'time only the use of the networks, no training', flag_values=values
    )
    flags.DEFINE_string('out', None, 'JSON file to write', flag_values=values)


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    values = command_line.start(define_flags, __doc__, arguments, ('config',))
    if values is None:
        return 0
    command_line.say_device()
    report = measure(config.to_json(values.config), values.seconds, not values.use)
    if values.out:
        storage.write(values.out, json.dumps(report, indent=2) + '\n')
        print(f'\n{values.out} written')
    return 0
