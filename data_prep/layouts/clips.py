"""RAVDESS, and clips as the First order motion model's preprocessing writes them.

RAVDESS (`ravdess`), the archives Video_Speech_Actor_NN and Video_Song_Actor_NN:

    Actor_01/01-01-03-02-01-01-01.mp4      seven numbers: modality (01 with sound, 02 without, 03
    sound alone), channel, emotion, intensity, statement, repetition, actor

The last number is the person. Each take is there with and without sound; the one with sound is
used. Emotions are not stored: `expression` is a label of pictures, and a take begins neutral.

First order motion model (`fomm-png`), of github.com/AliaksandrSiarohin/video-preprocessing; a
folder of frames, 25 a second, or a video:

    train/id10283#xYdvjZe44qw#001234#001345.mp4/0000000.png      person#video#first#last frame
    test/id10283#xYdvjZe44qw#00001.txt#000.mp4                   person#video#utterance#number

The person is what stands before the first #, and the folder `test` or `train` is the official split
(val is chosen among train). Names without # are refused: nobody could tell the person.
"""

import re

from reenact_jax.data_prep.footage import Source
from reenact_jax.data_prep.layouts.listing import Found, Listing, Rights, below, matches

RAVDESS = r'/0[12]-(?P<take>0[12]-0[1-8]-0[12]-0[12]-0[12]-\d\d)\.mp4$'
FOMM = r'/(?:(?P<split>train|test)/)?(?P<name>(?P<person>[^/#]+)#[^/]+)$'


def ravdess(listing: Listing, rights: Rights) -> Found:
    """Find the takes of RAVDESS."""
    best, unused = {}, {}
    for path, match in matches(RAVDESS, listing.videos):
        if not match:
            unused[below(path, listing.folder)] = 'not named as in RAVDESS'
            continue
        take, kept = match['take'], path
        if take in best:
            other = best[take]
            kept, left = (path, other) if other.stem > path.stem else (other, path)
            unused[below(left, listing.folder)] = f'the same take is there as {kept.name}'
        best[take] = kept
    sources = [Source(path, path.stem, f'actor{take[-2:]}', *rights) for take, path in best.items()]
    return Found(sources, unused)


def fomm(listing: Listing, rights: Rights) -> Found:
    """Find clips named person#video#..., folders of frames or videos."""
    sources, unused = [], {}
    for path, match in matches(FOMM, [*listing.frames, *listing.videos]):
        if not match:
            unused[below(path, listing.folder)] = 'expected a name such as id10283#VIDEO#0#9.mp4'
            continue
        split = {'train': 'dev', 'test': 'test'}.get(match['split'], '')
        key = re.sub(r'^/', '', match[0])
        sources.append(Source(path, key, match['person'], *rights, split=split))
    return Found(sources, unused)
