"""Folders as the makers of data sets hand them out, filled with synthetic people."""

import functools
import io
import json
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from reenact_jax.common.errors import UserError
from reenact_jax.data import shards
from reenact_jax.data_prep import dealing, footage, layouts, synthetic, videos
from reenact_jax.data_prep.heads import plan
from reenact_jax.data_prep.layouts import hdtf, published, vfhq, voxceleb
from reenact_jax.faces import find_model
from reenact_jax.media import writing

SIDE, COUNT = 192, 8  # pixels and frames of a synthetic person's clip
VIDEOS = ('1zcIwhmdeo4', '21Uxsk56VDQ', 'xYdvjZe44qw')  # as long as YouTube's ids are
SMALL = [
    '--size',
    '64',
    '--frames',
    '4',
    '--rate',
    '25',
    '--val',
    '0',
    '--min-width',
    '20',
    '--min-height',
    '20',
]


@pytest.fixture(scope='module')
def people(tmp_path_factory):
    """Three synthetic people: uint8 [frames, SIDE, SIDE, 3] each."""
    pytest.importorskip('av', reason='videos need the extra [video]')
    pytest.importorskip('mediapipe', reason='finding faces needs the extra [video]')
    pytest.importorskip('numba', reason='the extra [synthetic] is not installed')
    try:
        find_model(download=False)
    except UserError as error:
        pytest.skip(f'no model file: {error}')
    root = tmp_path_factory.mktemp('heads')
    request = plan.Request(
        identities=3, val_identities=0, test_identities=0, tracks=1, frames=COUNT, size=SIDE,
        cross_pairs=0, shards=1,
    )  # fmt: skip
    synthetic.write(root, request, workers=1, quiet=True)
    part = shards.ShardSet(root, 'train')
    return [
        np.stack([np.asarray(Image.open(io.BytesIO(jpeg))) for jpeg in part.track(n).image])
        for n in range(3)
    ]


def film(path, frames, rate=25):
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing.VideoWriter(path, Fraction(rate)) as video:
        for frame in frames:
            video.write(np.ascontiguousarray(frame))


def pictures(folder, frames):
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f'{number:07d}.png')


def text(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def touch(folder, *names):
    for name in names:
        text(folder / name, '')


def prepare(layout, folder, *flags):
    """Run the command; {identity: its tracks}, {identity: its split}."""
    out = folder.parent / 'out'
    assert videos.main([str(folder), '--layout', layout, '--out', str(out), *SMALL, *flags]) == 0
    tracks, home = {}, {}
    for split in shards.splits(out):
        part = shards.ShardSet(out, split)
        for track in (part.track(n) for n in range(len(part))):
            tracks.setdefault(track.identity_name, []).append(track)
            assert home.setdefault(track.identity_name, split) == split
    return tracks, home


def utterance(first, count, box):
    """A table of VoxCeleb."""
    heads = [
        'Identity  : \tid10001',
        'Reference : \tx',
        'Offset    : \t-1',
        'FV Conf   : \t16.5\t(1)',
    ]
    lines = [*heads, 'ASD Conf  : \t4.4', '', 'FRAME \tX \tY \tW \tH ']
    lines += ['\t'.join([f'{first + i:06d} ', *map(str, box)]) + ' ' for i in range(count)]
    return '\n'.join(lines) + '\n'


def side_by_side(left, right):
    return np.concatenate([left, right], 2)


def centre(track):
    return track.crop[0] + track.crop[2] / 2


def test_voxceleb2_clips(people, tmp_path):
    root = tmp_path / 'vox2'
    film(root / f'dev/mp4/id00012/{VIDEOS[0]}/00001.mp4', people[0])
    film(root / f'dev/mp4/id00012/{VIDEOS[1]}/00001.mp4', people[0])
    film(root / f'test/mp4/id00017/{VIDEOS[2]}/00001.mp4', people[1])
    tracks, home = prepare('voxceleb2', root)
    assert home == {'id00012': 'train', 'id00017': 'test'}
    assert {t.track_id for t in tracks['id00012']} == {
        f'id00012/{VIDEOS[0]}/00001#0.0',
        f'id00012/{VIDEOS[1]}/00001#0.0',
    }


@pytest.mark.parametrize(('version', 'person'), [(1, 'id10001'), (2, 'id00012')])
def test_voxceleb_tables_beside_whole_videos(version, person, people, tmp_path):
    """At 50 frames/s the table's frame 4 at 25 is the video's frame 8; the right face is meant."""
    both = side_by_side(people[0], people[1])
    film(tmp_path / f'vox/videos/{VIDEOS[0]}.mp4', both.repeat(2, 0), rate=50)
    box = {1: (360, 20, 330, 320), 2: (0.52, 0.05, 0.46, 0.9)}[
        version
    ]  # 384 x 192: 360 is 192 high
    folder = tmp_path / f'vox/txt/{person}'
    text(folder / f'{VIDEOS[0]}/00001.txt', utterance(4, 4, box))
    text(folder / f'{VIDEOS[1]}/00001.txt', utterance(0, 4, box))  # its video is gone
    tracks, home = prepare(f'voxceleb{version}', tmp_path / 'vox')
    assert home == {person: 'train'}
    (track,) = tracks[person]
    assert list(track.frame_number) == [8, 10, 12, 14]
    assert centre(track) > SIDE, 'the face on the right'
    report = (tmp_path / 'out/report.tsv').read_text()
    assert f'{person}/{VIDEOS[0]}/00001\tok\t8\t' in report, 'no frame after the table is read'
    assert f'its video, {VIDEOS[1]}.mp4, is not there' in report


def test_tables_of_voxceleb_that_are_damaged(tmp_path):
    table = tmp_path / 'a.txt'
    for content, message in (
        ('', 'no line FRAME X Y W H'),
        ('FRAME X Y W H\n', 'no line FRAME X Y W H'),
        ('FRAME X Y W H\n1 2 3 4\n', 'line 2: expected FRAME X Y W H, found 4'),
        ('FRAME X Y W H\n1 2 3 4 x\n', 'line 2: expected numbers'),
    ):
        table.write_text(content)
        with pytest.raises(UserError, match=message):
            voxceleb.utterance(table, (1.0, 1.0))


def test_ffpp(people, tmp_path):
    root = tmp_path / 'FaceForensics++'
    original = root / 'original_sequences'
    film(original / 'youtube/c23/videos/071.mp4', people[0])
    film(original / 'youtube/c40/videos/071.mp4', people[0][:4])
    film(original / 'youtube/c23/videos/000.mp4', people[1])
    film(original / 'actors/c23/videos/03__talking_outside.mp4', people[2])
    film(original / 'actors/c23/videos/03__exit_phone_room.mp4', people[2])
    film(root / 'manipulated_sequences/Deepfakes/c23/videos/071_000.mp4', people[0])
    tracks, home = prepare('ffpp', root, '--test', '0')
    assert home == {'071': 'train', '000': 'test', 'actor03': 'train'}
    assert [t.track_id for t in tracks['071']] == ['youtube/071#0.0']
    assert len(tracks['actor03']) == 2
    report = (tmp_path / 'out/report.tsv').read_text()
    assert 'a manipulated video' in report and 'the same video is there as c23' in report


def test_sequences_of_one_video_are_one_person(tmp_path):
    base = 'original_sequences/youtube/raw/videos'
    touch(tmp_path, *(f'{base}/{name}.mp4' for name in ('954', '955', '875', '876')))
    found = layouts.read('ffpp', tmp_path)
    assert layouts.official(found) == {
        '954': 'train', '955': 'test', '875': 'val', '876': 'train',
    }  # fmt: skip
    table = {'954': 'yvf0HOswcPk 0', '955': 'yvf0HOswcPk 1'}
    table |= {'875': 'xG9J__APvnY 0', '876': 'xG9J__APvnY 1'}
    text(tmp_path / 'conversion_dict.json', json.dumps(table))
    found = layouts.read('ffpp', tmp_path)
    assert layouts.official(found) == {'yvf0HOswcPk': 'test', 'xG9J__APvnY': 'val'}
    text(tmp_path / 'conversion_dict.json', '{"954": ""}')
    with pytest.raises(UserError, match='sequence to video'):
        layouts.read('ffpp', tmp_path)


def test_official_lists_have_their_published_sizes():
    assert len(published.VOXCELEB1_TEST) == 40 and len(published.VOXCELEB2_TEST) == 118
    assert len(published.FFPP_VAL) == len(published.FFPP_TEST) == 140
    assert not published.FFPP_VAL & published.FFPP_TEST


def test_celebdf(people, tmp_path):
    root = tmp_path / 'Celeb-DF-v2'
    film(root / 'Celeb-real/id0_0003.mp4', people[0])
    film(root / 'Celeb-real/id0_0004.mp4', people[0])
    film(root / 'Celeb-real/id16_0000.mp4', people[1])
    film(root / 'YouTube-real/00170.mp4', people[2])
    film(root / 'Celeb-synthesis/id0_id16_0003.mp4', people[0])
    text(root / 'List_of_testing_videos.txt', '1 YouTube-real/00170.mp4\n')
    tracks, _ = prepare('celebdf', root, '--test', '0')
    assert {name: len(some) for name, some in tracks.items()} == {
        'id0': 2, 'id16': 1, 'youtube_00170': 1,
    }  # fmt: skip


def test_ijbc(people, tmp_path):
    """Frames of a sighting are a track, and the box tells which face is meant."""
    root = tmp_path / 'IJB-C'
    both = side_by_side(people[0], people[1])
    rows = ['SUBJECT_ID,FILENAME,SIGHTING_ID,FACE_X,FACE_Y,FACE_WIDTH,FACE_HEIGHT,FRAME_NUM,AGE']
    (root / 'images/frames').mkdir(parents=True)
    (root / 'images/img').mkdir()
    for number in (3, 1, 2):
        Image.fromarray(both[number]).save(root / f'images/frames/10{number}.png')
        rows.append(f'7,frames/10{number}.png,900,200,10,180,175,{number},3')
        rows.append(f'8,frames/10{number}.png,901,5,10,180,175,{number},3')
    Image.fromarray(people[2][0]).save(root / 'images/img/1.jpg')
    rows += [
        '9,img/1.jpg,902,5,10,180,175,NaN,3',
        '9,img/2.jpg,903,5,10,180,175,,3',
        '10,img/1.jpg,,,,,,,',
    ]
    text(root / 'protocols/ijbc_metadata.csv', '\n'.join(rows) + '\n')
    tracks, _ = prepare('ijbc', root, '--test', '0')
    assert {name: [t.frames for t in some] for name, some in tracks.items()} == {
        '7': [3], '8': [3], '9': [1],
    }  # fmt: skip
    assert centre(tracks['7'][0]) > SIDE > centre(tracks['8'][0])
    assert 'img/2.jpg\tunused' in (tmp_path / 'out/report.tsv').read_text()
    (root / 'protocols/ijbc_metadata.csv').write_text('SUBJECT_ID,FILENAME\n7,img/1.jpg\n')
    with pytest.raises(UserError, match=r'no \.csv there with the columns SUBJECT_ID'):
        layouts.read('ijbc', root)


def test_ravdess(people, tmp_path):
    root = tmp_path / 'RAVDESS'
    film(root / 'speech/Actor_01/01-01-03-02-01-01-01.mp4', people[0])
    film(root / 'silent/Actor_01/02-01-03-02-01-01-01.mp4', people[0])  # the same take
    film(root / 'Actor_01/02-01-01-01-01-01-01.mp4', people[0])
    film(root / 'Actor_02/01-02-01-01-01-01-02.mp4', people[1])
    tracks, _ = prepare('ravdess', root, '--test', '0')
    assert {name: len(some) for name, some in tracks.items()} == {'actor01': 2, 'actor02': 1}
    report = (tmp_path / 'out/report.tsv').read_text()
    left = 'silent/Actor_01/02-01-03-02-01-01-01.mp4\tunused'
    assert left in report and 'is there as 01-01-03-02-01-01-01.mp4' in report


def test_hdtf_clips(people, tmp_path):
    root = tmp_path / 'HDTF'
    film(root / 'WDA_AmyKlobuchar0_000.mp4', people[0])
    film(root / 'AmyKlobuchar1_2.mp4', people[0])
    film(root / 'RD_Radio1_000.mp4', people[1])
    film(root / 'RD_Radio2_000.mp4', people[2])
    tracks, _ = prepare('hdtf', root, '--test', '0')
    assert {name: len(some) for name, some in tracks.items()} == {
        'AmyKlobuchar': 2, 'Radio1': 1, 'Radio2': 1,
    }  # fmt: skip


def test_hdtf_tables_beside_whole_videos(people, tmp_path):
    """Seconds 1 to 2 of the video; the crop, measured at 384 lines, holds the right face."""
    root = tmp_path / 'HDTF'
    both = side_by_side(people[0], people[1])
    film(root / 'raw/WDA_AmyKlobuchar1.mp4', both[[*range(COUNT)] * 2], rate=8)
    text(root / 'WDA_annotion_time.txt', 'AmyKlobuchar1.mp4 00:01-00:02 00:00-00:01 \n')
    text(root / 'WDA_crop_wh.txt', 'AmyKlobuchar1_0.mp4 400 360 0 384\n')
    text(root / 'WDA_resolution.txt', 'AmyKlobuchar1.mp4 384\n')
    tracks, _ = prepare('hdtf', root)
    (track,) = tracks['AmyKlobuchar']
    assert track.frame_number[0] == COUNT and track.frame_number[-1] == 2 * COUNT - 1
    assert centre(track) > SIDE
    assert 'WDA/AmyKlobuchar1_1\tunused' in (tmp_path / 'out/report.tsv').read_text()
    part = functools.partial(hdtf.part, root, crops=root, crop=['1', '2', '3', '4'], lines=['9'])
    assert part(span='1:00:01-01:00:02')[:2] == (3601.0, 3602.0)
    with pytest.raises(UserError, match='expected times such as'):
        part(span='now')


def test_vfhq_folders(people, tmp_path):
    """Frames have the rate of their table; the test set is another folder."""
    root = tmp_path / 'VFHQ'
    name = f'Clip+{VIDEOS[0]}+P0+C0+F100-108'
    pictures(root / f'train/{VIDEOS[0]}/{name}', people[0])
    pictures(root / f'VFHQ-Test/GT/Clip+{VIDEOS[1]}+P2+C1+F1-9', people[1])
    text(root / f'meta_info/{name}.txt', 'H 1080\nW 1920\nFPS: 30.0\nCROP: 0 0 700 700\n')
    tracks, home = prepare('vfhq', root)
    assert home == {f'{VIDEOS[0]}+P0': 'train', f'{VIDEOS[1]}+P2': 'test'}
    assert tracks[f'{VIDEOS[0]}+P0'][0].crop[3] == 30
    assert tracks[f'{VIDEOS[1]}+P2'][0].crop[3] == 25


def test_vfhq_tables_beside_whole_videos(people, tmp_path):
    root = tmp_path / 'VFHQ'
    film(root / f'{VIDEOS[0]}.mp4', side_by_side(people[0], people[1]))
    name = f'Clip+{VIDEOS[0]}+P1+C0+F1-7'
    text(root / f'meta_info/{name}.txt', 'H 384\nW 768\nFPS 25\nCROP 390 0 760 384\n0 1.0 2.0\n')
    tracks, _ = prepare('vfhq', root)
    (track,) = tracks[f'{VIDEOS[0]}+P1']
    assert (track.frame_number[0], track.frame_number[-1]) == (2, 6) and centre(track) > SIDE
    text(root / f'meta_info/{name}.txt', 'H 384\nFPS 25\n')
    with pytest.raises(UserError, match='no line that begins with W, CROP'):
        vfhq.clip(root / f'meta_info/{name}.txt', 1, 7, cut=False)


def test_fomm_png(people, tmp_path):
    root = tmp_path / 'vox-png'
    pictures(root / f'train/id10001#{VIDEOS[0]}#000001#000009.mp4', people[0])
    pictures(root / f'train/id10001#{VIDEOS[0]}#000030#000038.mp4', people[0])
    film(root / f'test/id10283#{VIDEOS[1]}#00001.txt#000.mp4', people[1])
    pictures(root / 'train/anonymous', people[2])
    tracks, home = prepare('fomm-png', root)
    assert home == {'id10001': 'train', 'id10283': 'test'}
    assert len(tracks['id10001']) == 2 and tracks['id10001'][0].crop[3] == 25
    assert 'train/anonymous\tunused' in (tmp_path / 'out/report.tsv').read_text()


def test_a_changed_table_is_read_again(people, tmp_path):
    film(tmp_path / f'vox/{VIDEOS[0]}.mp4', side_by_side(people[0], people[1]))
    table = tmp_path / f'vox/txt/id00012/{VIDEOS[0]}/00001.txt'
    text(table, utterance(0, 6, (0.52, 0.05, 0.46, 0.9)))
    right = prepare('voxceleb2', tmp_path / 'vox')[0]['id00012'][0]
    text(table, utterance(0, 7, (0.02, 0.05, 0.46, 0.9)))
    left = prepare('voxceleb2', tmp_path / 'vox')[0]['id00012'][0]
    assert centre(right) > SIDE > centre(left)


def test_what_the_command_refuses(tmp_path):
    base = ['--out', str(tmp_path / 'out'), '--layout', 'ravdess']
    with pytest.raises(UserError, match='expected one folder, and no --labels'):
        videos.main([str(tmp_path), 'other', *base])
    with pytest.raises(UserError, match='no such folder'):
        videos.main([str(tmp_path / 'absent'), *base])
    touch(tmp_path, 'one.mp4')
    with pytest.raises(
        UserError, match=r'nothing there is laid out as in ravdess.*one\.mp4: not named'
    ):
        videos.main([str(tmp_path), *base])


def test_splits_by_hash_alone():
    names = [f'id{n}' for n in range(20)]
    lists = {'id0': 'test', 'id1': 'val'} | dict.fromkeys(names[2:], 'dev')
    splits = dealing.deal(names, 0.1, 0.1, 0, lists)
    assert splits['test'] == ['id0'] and 'id1' in splits['val'] and len(splits['val']) == 3
    assert dealing.deal(names, 0.1, 0.1, 0) != splits
    assert dealing.deal(['id0'], 0.1, 0.1, 0, lists) == {'test': ['id0']}
    three = {'id0': 'test', 'id7': 'val', 'id8': ''}
    assert dealing.deal([*three], 0.5, 0.5, 0, three) == {
        'test': ['id0'],
        'val': ['id7'],
        'train': ['id8'],
    }


def test_a_known_layout_is_recognised(tmp_path):
    root = tmp_path / 'FaceForensics++'
    base = 'original_sequences/youtube/c23/videos'
    touch(root, *(f'{base}/{n:03d}.mp4' for n in range(3)), 'notes.mp4')
    files = [(path, path.relative_to(root).as_posix()) for path in sorted(root.rglob('*.mp4'))]
    assert layouts.guess([path for path, _ in files]) == ['ffpp']
    sources = footage.label([item for item in files if '/' in item[1]])
    assert "one person, 'original_sequences'" in footage.doubts(sources, None)
    alone = footage.label([(path, path.name) for path, _ in files])
    assert 'each of the 4 files is taken to show another person' in footage.doubts(alone, None)
    assert footage.doubts(sources, 'labels.csv') is None
    some = footage.label(
        [(root / 'a', 'anna/1.mp4'), (root / 'b', 'anna/2.mp4'), (root / 'c', 'b/1.mp4')]
    )
    assert footage.doubts(some, None) is None and footage.doubts(some[:1], None) is None
