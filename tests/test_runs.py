"""Runs side by side: what the page says is what the logs say; grids of settings resume."""

import base64
import html.parser
import io
import json
import re

import fakes
import numpy as np
import pytest
import toy_config
from PIL import Image

from reenact_jax.common.errors import UserError
from reenact_jax.runs import command, page, reading
from reenact_jax.sweeps import command as sweep
from reenact_jax.sweeps import grid
from reenact_jax.train.board import Board
from reenact_jax.train.logs import METRICS


def write_run(folder, width=16, steps=(2, 4, 6), scale=1.0):
    """Write the folder of a run by hand: two stages, a picture at every line."""
    folder.mkdir(parents=True)
    values = {'system': 'toy', 'seed': 0, 'hparams': {'width': width, 'rate': 0.01}}
    (folder / 'config.json').write_text(json.dumps(values))
    lines, board = [], Board(folder / 'tensorboard')
    for number, stage in enumerate(('one', 'two')):
        for step in steps:
            line = {'stage': stage, 'stage_number': number, 'step': step, 'time': 60.0 * len(lines)}
            lines.append(line | {'loss/G': scale / step, 'grad_norm/G': None})
            shade = np.full((8, 900, 3), 40 * step + number, np.uint8)
            board.picture(f'{stage}/preview', shade, step)
    board.close()
    (folder / METRICS).write_text(''.join(json.dumps(line) + '\n' for line in lines))
    return folder


class Loads(html.parser.HTMLParser):
    """Collects what a page would load, and its tags' balance."""

    def __init__(self):
        super().__init__()
        self.addresses = []

    def handle_starttag(self, tag, attributes):
        self.addresses += [value for name, value in attributes if name in ('src', 'href')]


def test_a_page_shows_curves_pictures_settings_and_last_values(tmp_path, capsys):
    one, two = write_run(tmp_path / 'one'), write_run(tmp_path / 'b<r>', width=8, scale=3.0)
    out = tmp_path / 'compare.html'
    assert command.main([str(one), f'two={two}', '--out', str(out)]) == 0
    assert 'loss/G' in capsys.readouterr().out
    text = out.read_text()
    loads = Loads()
    loads.feed(text)
    assert loads.addresses and all(one.startswith('data:image/jpeg') for one in loads.addresses)
    assert '<tr><td>config.hparams.width</td><td>16</td><td>8</td></tr>' in text
    assert 'config.hparams.rate' not in text, 'does not differ'
    # A row a metric; minutes: two stages of 2 gaps each.
    for cells in (('step', '6', '6'), ('minutes', '4.0', '4.0'), ('loss/G', '0.16667', '0.5')):
        assert f'<tr><td>{"</td><td>".join(cells)}</td></tr>' in text
    assert text.count('<svg') == 2 and text.count('<polyline') == 4, 'a stage each, two runs each'
    assert 'b&lt;r&gt;' in text and 'b<r>' not in text
    # The curve: the first value is the highest of both runs in run two, so at the top.
    points = re.findall('points="([^"]*)"', text)[1].split()
    assert points[0].endswith(',8.0') and len(points) == 3
    shown = [re.sub('.*base64,', '', one) for one in loads.addresses]
    pictures = [Image.open(io.BytesIO(base64.b64decode(one))) for one in shown]
    assert len(pictures) == 2 * page.PICTURES and pictures[0].size[0] == 480
    assert pictures[0].getpixel((5, 1))[0] == pytest.approx(80, abs=2)
    assert pictures[4].getpixel((5, 1))[0] == pytest.approx(241, abs=2)


def test_runs_that_are_not_there_or_named_twice(tmp_path):
    one = write_run(tmp_path / 'a' / 'run')
    write_run(tmp_path / 'b' / 'run')
    with pytest.raises(UserError, match=r'nowhere: no run here \(no config.json\)'):
        command.main([str(one), 'nowhere'])
    with pytest.raises(UserError, match='run: several runs have this name'):
        command.main([str(one), str(tmp_path / 'b' / 'run')])
    with pytest.raises(UserError, match=r'name it \.html'):
        command.main([str(one), '--out', 'x.png'])


def test_a_cut_log_is_read_as_far_as_it_goes(tmp_path):
    folder = write_run(tmp_path / 'run')
    (event,) = (folder / 'tensorboard').iterdir()
    event.write_bytes(event.read_bytes()[:-10])
    with (folder / METRICS).open('a') as file:
        file.write('{"stage": "two"')
    run = reading.read(str(folder))
    assert len(run.lines) == 6
    assert [one.step for one in reading.pictures(run, 99)] == [2, 4, 6, 2, 4]


def test_the_points_of_a_grid(tmp_path):
    points = grid.plan(['hparams.rate=1,2', 'config.stages=(1,2),(3,)'], [0, 5], str(tmp_path))
    assert len(points) == 8 and len({point.workdir for point in points}) == 8
    assert points[0].settings == (('hparams.rate', '1'), ('stages', '(1,2)'))
    assert points[1].workdir.name == 'rate=1,stages=(1,2),seed=5'
    assert [point.name for point in grid.plan([], [0], 'W')] == ['run']
    for texts in (['rate'], ['rate=1,,2'], ['=1'], ['rate=1', 'rate=2']):
        with pytest.raises(UserError, match='--grid'):
            grid.plan(texts, [0], 'W')


def test_means_over_seeds():
    points = grid.plan(['w=1,2'], [0, 1], 'W')
    values = [{'a': 1.0}, {'a': 3.0}, {'a': 5.0}, {'b': 1.0}]
    assert grid.table(points, values) == [
        ['settings', 'seeds', 'a', 'b'],
        ['w=1', '2', '2 +- 1.4', ''],
        ['w=2', '2', '5', '1'],
    ]


def test_a_grid_trains_all_resumes_and_shows_them(tmp_path, capsys, monkeypatch):
    fakes.fake_shards(tmp_path / 'data', identities=4, tracks=3)
    workdir = tmp_path / 'w'
    arguments = ['--config', toy_config.__file__, '--data', str(tmp_path / 'data')]
    arguments += ['--workdir', str(workdir), '--grid', 'hparams.rate=0.01,0.02']
    behind = ['--', '--config.hparams.one_steps=4', '--config.hparams.two_steps=0']
    with pytest.raises(UserError, match=r'hparams\.rate'):
        sweep.main([*arguments[:-1], 'hparams.rat=1', *behind])
    assert not workdir.exists()
    calls, train = [], grid.train.main

    def interrupted(flags):
        calls.append(flags)
        return 42 if len(calls) == 2 else train(flags)

    monkeypatch.setattr(grid.train, 'main', interrupted)
    assert sweep.main([*arguments, *behind]) == 42
    assert (workdir / 'compare.html').read_text().count('<polyline') > 0
    assert sweep.main([*arguments, *behind]) == 0
    assert 'nothing was left to do' in capsys.readouterr().out, 'the first is not trained again'
    rows = json.loads((workdir / 'table.json').read_text())['runs']
    assert [row['hparams.rate'] for row in rows] == ['0.01', '0.02']
    written = (workdir / 'table.md').read_text()
    for row in rows:
        (line,) = (one for one in written.splitlines() if f'rate={row["hparams.rate"]} |' in one)
        assert f' | {row["last"]["rec"]:.5g} | ' in line
    assert 'config.hparams.rate' in (workdir / 'compare.html').read_text()
