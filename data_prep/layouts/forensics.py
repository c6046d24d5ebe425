"""FaceForensics++ and Celeb-DF: real videos beside manipulated ones, of which none is used.

FaceForensics++ (`ffpp`), as its download script writes it:

    original_sequences/youtube/c23/videos/071.mp4          a sequence of a video of YouTube
    original_sequences/actors/c23/videos/01__talking.mp4   DeepFakeDetection: actor 01
    manipulated_sequences/Deepfakes/c23/videos/071_054.mp4

of the compressions raw, c0, c23 and c40 the least is used. A sequence is a person, unless
conversion_dict.json of the authors' repository lies in the folder: then sequences of one video of
YouTube are one person (ours; some of those videos may show several). Official splits hold the
sequences 000 to 999. Seven of them have another sequence of their video in another split: the whole
person goes to test, or else val. Actors have no official split.

Celeb-DF and Celeb-DF v2 (`celebdf`):

    Celeb-real/id0_0003.mp4            a celebrity: id0
    YouTube-real/00170.mp4             a person of its own
    Celeb-synthesis/id0_id1_0003.mp4   manipulated

List_of_testing_videos.txt is a list of videos, and most people of Celeb-real are on both sides of
it; so it cannot be a split of people and is not used.
"""

import json
import re

from reenact_jax.common import tables
from reenact_jax.common.errors import UserError
from reenact_jax.data_prep.footage import Source
from reenact_jax.data_prep.layouts.listing import Found, Listing, Rights, below, matches
from reenact_jax.data_prep.layouts.published import FFPP_TEST, FFPP_VAL

MANIPULATED = 'a manipulated video'
ORIGINAL = (
    r'/original_sequences/(?P<kind>youtube|actors)/(?P<rate>raw|c0|c23|c40)/videos/'
    r'(?P<name>\d{3}|\d{2}__[^/]+)\.mp4$'
)
COMPRESSIONS = ('raw', 'c0', 'c23', 'c40')  # the best first
CELEB_DF = r'/(?P<kind>Celeb-real|YouTube-real|Celeb-synthesis)/(?:videos/)?(?P<name>[^/]+)\.mp4$'


def ffpp(listing: Listing, rights: Rights) -> Found:
    """Find the original sequences of FaceForensics++."""
    videos = _videos_of_youtube(listing)
    best, unused = {}, {}
    for path, match in matches(ORIGINAL, listing.videos):
        name = below(path, listing.folder)
        if not match:
            manipulated = '/manipulated_sequences/' in path.absolute().as_posix()
            unused[name] = MANIPULATED if manipulated else 'not named as in FaceForensics++'
            continue
        rank, key = COMPRESSIONS.index(match['rate']), f'{match["kind"]}/{match["name"]}'
        if key in best and best[key][0] <= rank:
            unused[name] = f'the same video is there as {COMPRESSIONS[best[key][0]]}'
            continue
        if key in best:
            worse = below(best[key][1], listing.folder)
            unused[worse] = f'the same video is there as {match["rate"]}'
        best[key] = rank, path
    sources = []
    for key, (_, path) in best.items():
        kind, _, name = key.partition('/')
        if kind == 'actors':
            sources.append(Source(path, key, f'actor{name[:2]}', *rights))
        else:
            split = 'test' if name in FFPP_TEST else 'val' if name in FFPP_VAL else 'train'
            sources.append(Source(path, key, videos.get(name, name), *rights, split=split))
    return Found(sources, unused)


def _videos_of_youtube(listing: Listing) -> dict[str, str]:
    """Read conversion_dict.json, if it is there: sequence -> id of its video."""
    file = next((path for path in listing.tables if path.name == 'conversion_dict.json'), None)
    if file is None:
        return {}
    try:
        content = json.loads(tables.text(file))
        return {sequence: text.split()[0] for sequence, text in content.items()}
    except (ValueError, AttributeError, IndexError):
        raise UserError(
            f'{file}: expected an object such as {{"000": "--b1Ua-kWJE 0"}}, sequence to video'
        ) from None


def celebdf(listing: Listing, rights: Rights) -> Found:
    """Find the real videos of Celeb-DF."""
    sources, unused = [], {}
    for path, match in matches(CELEB_DF, listing.videos):
        name = below(path, listing.folder)
        if not match:
            unused[name] = 'not named as in Celeb-DF'
        elif match['kind'] == 'Celeb-synthesis':
            unused[name] = MANIPULATED
        elif match['kind'] == 'YouTube-real':
            person = f'youtube_{match["name"]}'
            sources.append(Source(path, f'YouTube-real/{match["name"]}', person, *rights))
        elif person := re.match(r'(id\d+)_\d+$', match['name']):
            sources.append(Source(path, f'Celeb-real/{match["name"]}', person[1], *rights))
        else:
            unused[name] = 'expected a name such as id0_0003.mp4'
    return Found(sources, unused)
