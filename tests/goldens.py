"""Texts that commands print, kept as files in tests/golden/.

GOLDEN=write python -m pytest tests/test_launchers.py     writes them again; read the diff
"""

import os
import pathlib

FOLDER = pathlib.Path(__file__).parent / 'golden'


def check(name: str, text: str) -> None:
    """Compare a text with the file of this name, or write it when GOLDEN=write."""
    file = FOLDER / name
    if os.environ.get('GOLDEN') == 'write':
        FOLDER.mkdir(exist_ok=True)
        file.write_text(text)
    assert text == file.read_text(), f'{file}: see tests/goldens.py'
