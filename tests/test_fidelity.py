"""Check that docs/fidelity.md is complete: every field of every system stands in its section."""

import dataclasses
import pathlib
import re

import pytest

from reenact_jax.systems import aan, facegan, fomm, freenet, marionette, pix2pix
from reenact_jax.systems.ldnet_fdgan import fdgan, ldnet

PAGE = (pathlib.Path(__file__).parent.parent / 'docs' / 'fidelity.md').read_text()
SECTIONS = {
    'FReeNet': freenet,
    'pix2pix and pix2pixHD': pix2pix,
    'LD-Net': ldnet,
    'FD-GAN': fdgan,
    'AAN': aan,
    'FACEGAN': facegan,
    "MarioNETte's landmark transformer": marionette,
}


def section(title: str) -> str:
    """Return the text of a section."""
    return PAGE.split(f'\n## {title}\n')[1].partition('\n## ')[0]


@pytest.mark.parametrize('title', SECTIONS)
def test_every_field_stands_in_its_section(title):
    named = set(re.findall(r'`(\w+)`', section(title)))
    fields = {field.name for field in dataclasses.fields(SECTIONS[title].Hparams)}
    assert not fields - named


def test_every_field_of_the_first_order_motion_model_names_its_official_setting():
    ours = {'features', 'vgg_weights', 'random_width', 'align_corners', 'steps', 'b1'}
    for field in dataclasses.fields(fomm.Hparams):
        assert field.name in ours or re.search(r'\[.+\]', field.metadata['doc']), field.name


def test_every_row_has_four_cells():
    for line in PAGE.splitlines():
        if line.startswith('|'):
            assert line.count('|') == 5, line
