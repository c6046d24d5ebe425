"""A sweep's trainings as jobs of a cluster: a Slurm array, JobSets of GKE, workloads of xpk.

Each training is a job of its own: it trains one model with one seed, resumes with the same command,
and knows nothing of the others. The table is collected when they are done, or before.
"""

import hashlib
import json
import re
import shlex
from typing import NamedTuple

from etils import epath

FORMS = ('commands', 'slurm-array', 'jobset', 'xpk')
JOBSET = epath.Path(__file__).parent / 'jobset.yaml'  # launch/jobset.yaml, to be edited there
LONGEST = 40  # characters of a job's name; Kubernetes appends to it, up to 63
_COLLECT = 'the table; also before all are done, rows that are missing are named:'
_ARGS = re.compile(r'^( *)args:\n(?:\1  .*\n)+', re.M)


class Row(NamedTuple):
    """One training of a sweep."""

    name: str  # a label that Kubernetes accepts
    words: list[str]  # the command, `reenact-jax` first


def row(table: str, model: str, seed: int, words: list[str]) -> Row:
    """Name a training and let its command find the other hosts of its job.

    Args:
      table: name of the table.
      model: name of the model.
      seed: of the training.
      words: the command, `reenact-jax` first.
    """
    cut = words.index('--') if '--' in words else len(words)
    flags = words[cut + 1 :]
    flags += [] if '--distributed' in flags else ['--distributed']
    name = re.sub(r'[^a-z0-9]+', '-', f'{table}-{model}-{seed}'.lower()).strip('-')
    if len(name) > LONGEST:
        digest = hashlib.sha256(name.encode()).hexdigest()[:6]
        name = f'{name[: LONGEST - 7].rstrip("-")}-{digest}'
    return Row(name, [*words[:cut], '--', *flags])


def render(form: str, rows: list[Row], prepare: list[str] | None, collect: list[str]) -> str:
    """Write the jobs as text to be saved or piped on.

    Args:
      form: one of `FORMS`, except `commands`.
      rows: the trainings.
      prepare: the command that makes the data first; None: all data are given.
      collect: the command that makes the table.
    """
    lines = []
    if prepare:
        lines += ['# before anything else, once:', f'#   {shlex.join(prepare)}']
    lines += _BODIES[form](rows)
    return '\n'.join([*lines, f'# {_COLLECT}', f'#   {shlex.join(collect)}']) + '\n'


def _slurm(rows: list[Row]) -> list[str]:
    head = f'# saved as rows.txt: sbatch --array=1-{len(rows)} launch/slurm.sbatch rows.txt'
    return [head, *(shlex.join(row.words) for row in rows)]


def _jobsets(rows: list[Row]) -> list[str]:
    text = re.sub(r'^#.*\n', '', JOBSET.read_text(), flags=re.M)
    documents = ['# | kubectl apply -f -']
    for one in rows:
        words = one.words[1:]  # the image's entry point is the first
        jobset = re.sub(r'^  name: .*', f'  name: {one.name}', text, count=1, flags=re.M)
        documents += ['---', _ARGS.sub(lambda match, w=words: _args(match[1], w), jobset).rstrip()]
    return documents


def _args(indent: str, words: list[str]) -> str:
    items = [f'{indent}  - {json.dumps(word)}' for word in words]
    return '\n'.join([f'{indent}args:', *items]) + '\n'


def _xpk(rows: list[Row]) -> list[str]:
    head = '# CLUSTER=... TPU_TYPE=v5litepod-16 IMAGE=REGISTRY/reenact-jax:tpu'
    # xpk itself restarts after exit code 42; 1 is the exit code of a host that lost another one.
    fixed = '--cluster="$CLUSTER" --tpu-type="$TPU_TYPE" --docker-image="$IMAGE"'
    fixed += ' --max-restarts=100 --restart-on-exit-codes=1 --termination-grace-period-seconds=300'
    return [
        head,
        *(
            f'xpk workload create {fixed} --workload={one.name} '
            f'--command={shlex.quote(shlex.join(one.words))}'
            for one in rows
        ),
    ]


_BODIES = {'slurm-array': _slurm, 'jobset': _jobsets, 'xpk': _xpk}
