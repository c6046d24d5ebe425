"""The summary: parameters and arithmetic against hand counts, stages, command line."""

import pytest

from reenact_jax.common.errors import UserError
from reenact_jax.configs import aan, freenet, ldnet_fdgan, marionette, pix2pix
from reenact_jax.data.tracks import DataInfo
from reenact_jax.systems.ldnet_fdgan import ldnet as ld
from reenact_jax.train import summary

DATA = DataInfo(identities=7, examples=100)


def test_counts_of_a_hand_made_net():
    hp = ld.Hparams(layers=1, width=10, pose_code=3, identity_code=4)
    rows = {row.network: row for row in summary.networks(ld, hp, DATA, 64)}
    assert rows['E_P'].parameters == 136 * 10 + 10 + 10 * 3 + 3
    assert rows['N_I'].parameters == 7 * 4
    # Two operations a weight; bias and GELU add a little.
    assert rows['E_P'].gflop == pytest.approx(2 * (1360 + 30) / 1e9, rel=0.2)
    assert (rows['E_P'].inputs, rows['E_P'].outputs) == ('68x2', '3')


def test_stages_name_players_and_rates():
    lines = summary.stages(ld, ld.Hparams(schedule='cosine', stage1_steps=100), DATA)
    assert lines[0] == 'ldnet_1: 100 steps of 32 rows x 1 frames, partners: other_identity'
    assert 'G    moves E_P, N_I, G; learning rate 0.0001 to' in lines[1]


@pytest.mark.parametrize(
    'module, preset, letters',
    [
        (aan, 'tiny', ('E_a', 'D_I')),
        (ldnet_fdgan, 'tiny', ('E_P', 'C_l')),
        (ldnet_fdgan, 'fdgan_tiny', ('Ext', 'Tra', 'D', 'C')),
        (freenet, 'tiny', ('psi_1', 'psi_3', 'D_TF', 'D_S', 'phi', 'D')),
        (marionette, 'tiny', ('M', 'B')),
        (pix2pix, 'unet_tiny', ('G', 'D')),
        (pix2pix, 'hd_tiny', ('G1', 'D1', 'G2', 'D2')),
    ],
)
def test_report_needs_no_data(module, preset, letters):
    text = summary.report(module.get_config(preset), DATA, 64)
    for letter in letters:
        assert f'\n{letter} ' in text
    assert 'moves' in text and '(default' in text


def test_command(capsys):
    assert summary.main(['--config=ldnet_fdgan:tiny', '--config.hparams.width=8']) == 0
    assert 'width = 8 (default 512)' in capsys.readouterr().out
    with pytest.raises(UserError, match='--config: missing'):
        summary.main(['--size=64'])
    with pytest.raises(UserError, match='identities'):
        summary.main(['--config=ldnet_fdgan:tiny', '--identities=1'])
