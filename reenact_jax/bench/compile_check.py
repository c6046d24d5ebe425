"""What a config's training steps need of TPUs, by the TPUs' own compiler, on any machine.

    reenact-jax compile-check --config aan --topology v5e:16x16 --batch-per-chip 2

Compiles every stage's step, the same program that training calls, for a slice of TPUs that need
not be there. Prints for each stage: the memory that a chip needs and has; the FLOPs of a step; the
share of float32, and the lines of code that ask for most arithmetic; and everything that the chips
send each other: by which operation, how much, for what, and over which link. ICI joins the chips of
a slice, DCN the slices (--slices=2). The exit code is 1 if a step does not fit.

It needs no data and no pretrained weights: image size, number of people and of records are flags.

The settings of a run count as in training: --config.stages=NAME, --config.sharding=fsdp,
--config.mesh=2x16 (parameters split over 16 chips, 2 copies),
--config.dtype=bfloat16, --config.accumulate=4 (a chip's rows are split into 4 microbatches).

It needs libtpu (`pip install -e .[tpu-check]`), which serves one process at a time. Compiling
takes minutes for networks of images.
"""

import json
import math
import os
import time
from collections.abc import Iterator
from typing import Any

import jax
from absl import flags

from reenact_jax.bench import chips, collectives, products
from reenact_jax.common import command_line, storage
from reenact_jax.common.errors import UserError
from reenact_jax.data.tracks import DataInfo
from reenact_jax.systems.interface import Stage
from reenact_jax.train import config, jobs, sharding, summary
from reenact_jax.train.jobs import Job

GIB = 2**30
ADVICE = (
    'lower --batch-per-chip, raise --config.accumulate, set --config.dtype=bfloat16 or '
    '--config.sharding=fsdp, or take chips with more'
)


def check(
    values: dict, info: DataInfo, side: int, topology: str, rows: int, slices: int = 1
) -> Iterator[dict]:
    """Compile the stages of a config, one after the other.

    Args:
      values: a resolved config, `config.to_json`; its batch size is replaced.
      info: what the data would be.
      side: side of the images, pixels.
      topology: see `chips.parse`.
      rows: rows of a batch on each chip.
      slices: number of such slices.

    Yields:
      A report of each stage: plain values, bytes and FLOPs; `refused` is there if it does not fit.

    Raises:
      UserError: the topology or the batch is wrong, or libtpu is absent or in use.
    """
    chip, sides = chips.parse(topology)
    if rows % (unit := 2 * values['accumulate']):
        raise UserError(
            f'--batch-per-chip: {rows} rows are not pairs for each of config.accumulate = '
            f'{unit // 2} microbatches; give a multiple of {unit}'
        )
    values = values | {'batch_size': rows * math.prod(sides) * slices}
    job = jobs.make_abstract_job(values, info, side, chips.devices(topology, slices))
    alone = values | {'batch_size': rows, 'accumulate': 1, 'scan': 1, 'sharding': 'replicated'}
    here = jax.devices('cpu')[:1]
    one_chip = jobs.make_abstract_job(alone | {'mesh': ''}, info, side, here)
    for number, stage in job.chosen.items():
        traced = _traced(one_chip, one_chip.chosen[number])
        costs: Any = traced.lower().cost_analysis()
        flops = costs['flops']
        yield {
            'stage': stage.name,
            'topology': topology,
            'slices': slices,
            'chips': job.mesh.size,
            'mesh': dict(job.mesh.shape),
            'rows a chip': rows,
            'sharding': job.run.sharding,
            'dtype': job.run.dtype,
            'accumulate': job.run.accumulate,
            'HBM': chip.hbm,
            'state': sum(
                math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
                for leaf in jax.tree.leaves(job.shapes(stage))
            ),
            'FLOPs a chip': flops,
            'FLOPs a step': flops * job.mesh.size,
            **products.report(traced.jaxpr),
            **_compiled(job, stage, chip.hbm),
        }


def _traced(job: Job, stage: Stage):
    state = job.shapes(stage)
    batch = job.abstract_batch(stage)
    return job.program(stage, state).trace(state, job.constants, batch)


def _compiled(job: Job, stage: Stage, hbm: int) -> dict:
    """Compile a stage's step: what the program needs and sends, or why it was refused."""
    lowered, begin = _traced(job, stage).lower(), time.perf_counter()
    try:
        program = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        if 'RESOURCE_EXHAUSTED' not in str(error):
            raise
        return {'refused': str(error).partition(': ')[2].splitlines()[0]}
    report: dict[str, Any] = {'compile seconds': round(time.perf_counter() - begin, 1)}
    report['memory'] = memory(program.memory_analysis())
    if (total := report['memory']['total']) > hbm:
        report['refused'] = f'{total / GIB:.2f} GiB of {hbm / GIB:.0f}'
    report['collectives'] = _sent(job, stage, program.as_text() or '')
    return report


def memory(analysis) -> dict[str, int]:
    """Sum up the bytes that a program needs on a chip.

    Outputs that reuse the memory of an argument (the state) count once.

    Args:
      analysis: the program's `memory_analysis()`.
    """
    parts = {
        'arguments': analysis.argument_size_in_bytes,
        'outputs': analysis.output_size_in_bytes,
        'aliased': analysis.alias_size_in_bytes,
        'temporaries': analysis.temp_size_in_bytes,
        'program': analysis.generated_code_size_in_bytes,
    }
    return parts | {'total': sum(parts.values()) - 2 * parts['aliased']}


def _sent(job: Job, stage: Stage, text: str) -> list[dict]:
    """Group the arrays sent in a step by kind and purpose; name the sources of `OTHER`."""
    slices = len({sharding.slice_of(device) for device in job.mesh.devices.flat})
    sizes = {True: set(), False: set()}  # those of parameters, those of running statistics
    for variables in job.shapes(stage).variables.values():
        for name, tree in variables.items():
            sizes[name == 'params'] |= {leaf.size for leaf in jax.tree.leaves(tree)}
    fsdp, groups = job.run.sharding == 'fsdp', {}
    for one in collectives.read(text):
        purpose = collectives.purpose(one, sizes[True], sizes[False], fsdp, slices)
        groups.setdefault((one.kind, purpose, one.link), []).append(one)
    return [
        {
            'kind': kind,
            'for': purpose,
            'link': link,
            'operations': len({one.operation for one in some}),
            'arrays': sum(one.times for one in some),
            'bytes': sum(one.bytes * one.times for one in some),
            'sources': sorted({one.source for one in some}) if purpose == collectives.OTHER else [],
        }
        for (kind, purpose, link), some in sorted(groups.items())
    ]


def table(report: dict) -> str:
    """Write a stage's report as text."""
    share = f'{report["rows a chip"]} rows a chip, {report["sharding"]}, {report["dtype"]}'
    slices = f'{report["slices"]} x ' if report['slices'] > 1 else ''
    lines = [
        f'{report["stage"]}: {slices}{report["topology"]}, {report["chips"]} chips, {share}, '
        f'accumulate {report["accumulate"]}',
        f'  FLOPs: {report["FLOPs a step"]:.4g} a step, {report["FLOPs a chip"]:.4g} a chip; '
        f'state: {report["state"] / GIB:.3f} GiB a chip',
    ]
    share = f'{report["float32 share"]:.1%} of convolutions and matrix products'
    lines.append(f'  float32: {share}; the lines that ask for most:')
    for item in report['dearest']:
        count = f'{item["count"]:>5} x {item["kind"]} ({item["dtype"]})'
        lines.append(f'    {item["share"]:>6.1%} {count}  {item["source"]}')
    if 'memory' in report:
        lines.append(f'  compiled in {report["compile seconds"]:.1f} s; memory of a chip, GiB:')
        lines += [f'    {name:<12}{size / GIB:>9.3f}' for name, size in report['memory'].items()]
        share = report['memory']['total'] / report['HBM']
        lines.append(f'    {"HBM":<12}{report["HBM"] / GIB:>9.3f}   {share:.1%} used')
        lines.append(
            f'  {"sent":<20}{"for":<32}{"link":<6}{"operations":>10}{"arrays":>8}{"MB":>12}'
        )
        for item in report['collectives']:
            size = f'{item["bytes"] / 1e6:.6f}'
            counts = f'{item["operations"]:>10}{item["arrays"]:>8}{size:>12}'
            lines.append(f'  {item["kind"]:<20}{item["for"]:<32}{item["link"]:<6}{counts}')
            lines += [f'      from {source or "(no name)"}' for source in item['sources'][:8]]
    if 'refused' in report:
        lines.append(f'  DOES NOT FIT: {report["refused"]}')
    return '\n'.join(lines)


def define_flags(values: flags.FlagValues) -> None:
    """Define the command's flags."""
    summary.define_flags(values)
    text = 'slice of TPUs, such as v5e:16x16, v6e:4x4 or v5p:2x2x2'
    flags.DEFINE_string('topology', None, text, flag_values=values)
    flags.DEFINE_integer('slices', 1, 'number of such slices', 1, 64, flag_values=values)
    flags.DEFINE_integer('batch-per-chip', 8, 'rows of a batch on each chip', 2, flag_values=values)
    flags.DEFINE_string('out', None, 'JSON file to write', flag_values=values)


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    os.environ['JAX_PLATFORMS'] = 'cpu'  # no step is run; a TPU of this machine stays free
    jax.config.update('jax_platforms', 'cpu')
    values = command_line.start(define_flags, __doc__, arguments, ('config', 'topology'))
    if values is None:
        return 0
    if values.config.batch_size is not None:
        raise UserError('config.batch_size: not here; give --batch-per-chip, the rows of one chip')
    values.config.data = values.config.data or '(none)'  # not read here, but a run requires it
    info = DataInfo(values.identities, values.examples, values.config.points)
    rows: Any = values['batch-per-chip'].value
    reports = []
    place = values.topology, rows, values.slices
    for report in check(config.to_json(values.config), info, values.size, *place):
        reports.append(report)
        print(table(report), flush=True)
        if values.out:
            storage.write(values.out, json.dumps(reports, indent=2) + '\n')
    refused = [report['stage'] for report in reports if 'refused' in report]
    if refused:
        raise UserError(f'{", ".join(refused)}: not on {values.topology}; {ADVICE}')
    return 0
