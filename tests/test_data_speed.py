"""The measurements of data at large sizes, in small."""

from launch import data_speed


def test_opening_counts_what_it_opened():
    found = data_speed.main(['opening', '--tracks', '60', '--count', '6', '--frames', '2'])
    assert (found['tracks'], found['records'], found['shards']) == (60, 60, 6)
    assert found['opening, s'] > 0 and found['memory while opening, at most, GiB'] > 0.01


def test_most_made_up_expressions_have_a_partner(unchecked):
    found = data_speed.main(['partners', '--sizes', '500', '--pairs', '30'])['500 tracks']
    assert (
        0.2 < found['with a partner'] <= 1
        and 0 < found['mean, ms of CPU'] <= found['longest, ms of CPU']
    )
