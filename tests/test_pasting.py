"""Crops back in their pictures: where they lie, what stays, what fades."""

import numpy as np
import pytest
from skimage import data

from reenact_jax.geometry import crops
from reenact_jax.reenact.pasting import Canvas, Paster

PICTURE = data.astronaut()


@pytest.mark.parametrize('window', [(100.3, 40.7, 160.5), (-30.2, 300, 250), (400, -40, 180.9)])
def test_a_crop_comes_back_where_it_was(window):
    """Cut and put back, the picture is itself again but for the softness of two resamplings."""
    crop = crops.crop(PICTURE, window, 256)
    made = Paster(Canvas(PICTURE, window))(crop)
    outside = np.ones(PICTURE.shape[:2], bool)
    x, y, side = window
    outside[max(int(y), 0) : int(y + side) + 1, max(int(x), 0) : int(x + side) + 1] = False
    np.testing.assert_array_equal(made[outside], PICTURE[outside])
    off = np.abs(made.astype(int) - PICTURE)[~outside].mean()
    for dx, dy in ((1, 0), (0, 1)):
        wrong = Paster(Canvas(PICTURE, (x + dx, y + dy, side)))(crop)
        assert off < np.abs(wrong.astype(int) - PICTURE)[~outside].mean() - 0.3
    assert off < 4 and made.dtype == np.uint8


@pytest.mark.parametrize('side', [32, 512])
def test_any_side_of_crop_covers_the_same_place(side):
    """Half white, half black: the edge is where the window's middle is."""
    crop = np.zeros((side, side, 3), np.uint8)
    crop[:, side // 2 :] = 255
    made = Paster(Canvas(np.full((100, 120, 3), 128, np.uint8), (20, 10, 64)))(crop)
    row = made[42, :, 0].astype(int)
    assert row[45] < 10 and row[58] > 245 and row[10] == row[100] == 128
    assert abs(int(np.argmax(row[40:64] > 127)) + 40 - 52) <= 1


def test_the_border_fades_and_the_middle_is_the_crops():
    paster = Paster(Canvas(np.zeros((64, 64, 3), np.uint8), (0, 0, 64)), feather=0.25)
    made = paster(np.full((64, 64, 3), 200, np.uint8))[..., 0].astype(int)
    assert (made[16:48, 16:48] == 200).all() and made[0].max() < 10
    assert (np.diff(made[32, :17]) >= 0).all() and np.diff(made[32, :17]).max() < 25
    hard = Paster(Canvas(np.zeros((64, 64, 3), np.uint8), (16, 16, 32)), feather=0)
    assert (hard(np.full((8, 8, 3), 9, np.uint8))[..., 0] == 9).sum() == 32 * 32


def test_a_window_outside_changes_nothing():
    made = Paster(Canvas(PICTURE, (1000, 1000, 50)))(np.zeros((8, 8, 3), np.uint8))
    np.testing.assert_array_equal(made, PICTURE)
