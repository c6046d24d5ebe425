"""The commands in the documents, as bash reads them: variables, loops and comments resolved.

Every block of shell code runs in a folder of stand-ins, which record their arguments.
"""

import functools
import pathlib
import re
import shlex
import subprocess
import tempfile
from typing import NamedTuple

from reenact_jax.commands import COMMANDS

ROOT = pathlib.Path(__file__).parent.parent
PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted((ROOT / 'docs').glob('*.md'))]
BLOCK = re.compile(r'^```(\w*)\n(.*?)^```$', re.M | re.S)
# A span of code that is a command to be typed, with flags or files.
SPAN = re.compile(
    r'`((?:\.venv[\w-]*/bin/)?(?:reenact-jax|python[\d.]* -m|bash launch/|launch/)\s?[^`]*)`'
)
PROGRAMS = (
    *('reenact-jax', 'python', 'python3.11', 'pip', 'bash'),
    *('docker', 'kubectl', 'gcloud', 'sbatch', 'xpk'),
)
STAND_IN = """#!/bin/bash
printf '%s\\0' "${0##*/}" "$@" $'\\n' >>"$RECORD"
"""


class Documented(NamedTuple):
    """A command of a page."""

    page: str
    words: tuple[str, ...]  # the program's name without its folder, and its arguments

    @property
    def text(self) -> str:
        """Write the command as it could be typed."""
        return shlex.join(self.words)


@functools.cache
def commands() -> tuple[Documented, ...]:
    """Return all commands of the documents, equal ones once."""
    table = {}
    with tempfile.TemporaryDirectory() as folder:
        stand_ins(pathlib.Path(folder))
        for page in PAGES:
            for code in shell(page.read_text()):
                for words in run(code, pathlib.Path(folder), page.name):
                    table.setdefault(words, Documented(page.name, words))
    return tuple(sorted(table.values()))  # a pipe calls both of its ends at once


def shell(text: str) -> list[str]:
    """Return the blocks of shell code of a page, and the spans that are commands."""
    blocks = [code for language, code in BLOCK.findall(text) if language in ('', 'bash', 'sh')]
    spans = [' '.join(span.split()) for span in SPAN.findall(BLOCK.sub('', text))]
    return blocks + [span for span in spans if not is_name(span)]


def is_name(span: str) -> bool:
    """Return whether a span only names a command: `reenact-jax prepare videos`."""
    words = span.split()
    program, rest = words[0].rpartition('/')[2], words[1:]
    if program != 'reenact-jax':
        return len(words) == 1
    part = COMMANDS.get(rest[0]) if rest else None
    names = 2 if isinstance(part, dict) or rest[:1] == ['evaluate'] else 1
    return len(rest) <= names and not any(word.startswith('-') for word in rest)


def run(code: str, folder: pathlib.Path, page: str) -> list[tuple[str, ...]]:
    """Run shell code among the stand-ins; return the calls, each a program and its arguments."""
    record = folder / 'record'
    record.write_text('')
    environment = {'PATH': str(folder / 'bin'), 'RECORD': str(record)}
    done = subprocess.run(
        ['/bin/bash', '-euo', 'pipefail', '-c', code],
        cwd=folder, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert not done.returncode, f'{page}: bash refuses\n{code}\n{done.stderr}'
    calls = record.read_text().split('\0\n\0')[:-1]
    return [tuple(call.split('\0')) for call in calls]


def stand_ins(folder: pathlib.Path) -> None:
    """Write programs, scripts and an environment that only record their calls."""
    for place in ('bin', '.venv/bin', '.venv-onnx/bin'):
        (folder / place).mkdir(parents=True)
        for name in PROGRAMS:
            _write(folder / place / name)
    (folder / '.venv/bin/activate').write_text('')
    (folder / 'launch').mkdir()
    for script in [*(ROOT / 'launch').glob('*.sh'), ROOT / 'launch' / 'sweep.py']:
        _write(folder / 'launch' / script.name)


def _write(path: pathlib.Path) -> None:
    path.write_text(STAND_IN)
    path.chmod(0o755)
