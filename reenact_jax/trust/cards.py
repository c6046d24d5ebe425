"""The schema of a bundle's card: types, ranges and lengths of what is read from it."""

import json
import re
from collections.abc import Callable
from typing import Any

FUNCTIONS = ('identify', 'transfer', 'encode', 'encode_onto', 'render', 'layers', 'carry')
FIELDS = ('landmarks', 'landmarks3d', 'aus', 'aus_valid', 'image')  # of a face
MOVING = 'identify', 'transfer'  # the functions of a landmark transfer
MORE = 'more_transfers'  # field of a card: the transfers after the first
LANDMARKS = 'landmarks'  # the kind of motion of a card that names none
MOST_TRANSFERS = 8  # that a bundle holds
POINTS = {'68': 68, '68c': 68, '106': 106}  # landmarks of each point set
SIZES = 8, 4096  # of a crop, pixels
TEXT = 10_000  # most characters of a text
NAMES = 20_000  # most weights of a function
FILES = 64
_WORD = re.compile(r'[\w .,:;+()/\\-]{1,300}')
_DIGEST = re.compile('[0-9a-f]{64}')


def parse(content: bytes) -> dict:
    """Read JSON as strictly as a card needs it.

    Raises:
      ValueError: it is not JSON, names a thing twice, or holds NaN or infinity.
    """
    card = json.loads(content, object_pairs_hook=_once, parse_constant=_constant)
    if not isinstance(card, dict):
        raise ValueError('expected an object')
    return card


def check(card: dict) -> None:
    """Check all that a bundle's reader makes use of.

    Raises:
      ValueError: a field is missing or has another type, range or length; the text names it.
    """
    _expect('size', card.get('size'), _is_size, f'a whole number, {SIZES[0]} to {SIZES[1]}')
    points = card.get('points')
    _expect('points', points, lambda x: _is_text(x) and x in POINTS, f'one of {", ".join(POINTS)}')
    _expect('licence', card.get('licence', ''), _is_text, 'a text')
    _expect('notes', card.get('notes', {}), _is_dict, 'an object')
    _model('generator', card.get('generator'))
    depth = card['generator'].get('takes_depth', False)
    _expect('generator.takes_depth', depth, lambda x: isinstance(x, bool), 'true or false')
    _expect('motion', card.get('motion', LANDMARKS), _is_word, 'the name of a kind of motion')
    if 'transfer' not in card:
        raise ValueError('transfer: missing')
    if card['transfer'] is not None:
        _expect('transfer', card['transfer'], _is_dict, 'an object')
    if card['transfer'] is None and not moves_landmarks(card):
        raise ValueError(f'transfer: missing, which {card["motion"]} need')
    more = card.get(MORE, [])
    _expect(MORE, more, _is_list_of_dicts, f'{MOST_TRANSFERS - 1} models at most')
    if more and card['transfer'] is None:
        raise ValueError('transfer: missing, the first of several')
    for end, entry in transfers(card).items():
        _transfer(f'transfer{end}', entry)
    names = [entry['system'] for entry in transfers(card).values()]
    if len(set(names)) < len(names):
        raise ValueError(f'{MORE}: two transfers of one name')
    versions = card.get('versions', {})
    _expect('versions', versions, lambda x: _is_map(x, 100, _is_text), 'texts by name')
    _files(card.get('files'))
    _functions(card)


def transfers(card: dict) -> dict[str, dict]:
    """Return the landmark transfers of a card by the ends of their functions' names.

    The first is the default: '' for `identify` and `transfer`, '_2' for `identify_2`, and so on.
    """
    if card['transfer'] is None:
        return {}
    more = card.get(MORE, [])
    return {'': card['transfer']} | {f'_{number}': one for number, one in enumerate(more, 2)}


def moves_landmarks(card: dict) -> bool:
    """Tell whether what moves a bundle are landmarks, and not a motion of another kind."""
    return card.get('motion', LANDMARKS) == LANDMARKS


def _files(files) -> None:
    _expect('files', files, lambda x: _is_map(x, FILES, _is_digest), 'SHA-256 digests by file name')


def _functions(card: dict) -> None:
    functions: Any = card.get('functions')
    _expect('functions', functions, lambda x: _is_map(x, 16, _is_dict), 'objects by name')
    needed = {'encode', 'render'} | ({'carry'} if moves_landmarks(card) else set())
    needed |= {f'{name}{end}' for end in transfers(card) for name in MOVING}
    if missing := needed - set(functions):
        raise ValueError(f'functions: without {", ".join(sorted(missing))}')
    allowed = (set(FUNCTIONS) - {*MOVING, 'carry'}) | needed
    if unknown := set(functions) - allowed:
        raise ValueError(
            f'functions: {sorted(unknown)[0]!r} is none of {", ".join(sorted(allowed))}'
        )
    files = [*card['files']]
    for name, entry in functions.items():
        where = f'functions.{name}'
        weights, names = entry.get('weights'), entry.get('names')
        _expect(f'{where}.file', entry.get('file'), files.__contains__, 'one of files')
        _expect(f'{where}.weights', weights, [*files, None].__contains__, 'one of files or null')
        _expect(f'{where}.names', names, _are_names, 'names of weights, each once')
        if weights is None and names:
            raise ValueError(f'{where}.names: weights without a file')


def _transfer(where: str, entry) -> None:
    _model(where, entry)
    driven = entry.get('driven_by', ['landmarks'])
    _expect(f'{where}.driven_by', driven, _are_fields, f'some of {", ".join(FIELDS)}, each once')


def _model(where: str, entry) -> None:
    _expect(where, entry, _is_dict, 'an object')
    _expect(f'{where}.system', entry.get('system'), _is_word, 'the name of a system')
    weights = entry.get('weights', {})
    _expect(f'{where}.weights', weights, lambda x: _is_map(x, 16, _is_text), 'texts by name')


def _expect(where: str, value, right: Callable, what: str) -> None:
    if not right(value):
        raise ValueError(f'{where}: {str(value)[:80]!r}, expected {what}')


def _is_dict(value) -> bool:
    return isinstance(value, dict)


def _is_list_of_dicts(value) -> bool:
    return isinstance(value, list) and len(value) < MOST_TRANSFERS and all(map(_is_dict, value))


def _is_map(value, most: int, right: Callable) -> bool:
    return isinstance(value, dict) and len(value) <= most and all(map(right, value.values()))


def _is_text(value) -> bool:
    return (
        isinstance(value, str) and len(value) <= TEXT and not re.search('[\0-\x08\x0e-\x1f]', value)
    )


def _is_word(value) -> bool:
    return isinstance(value, str) and _WORD.fullmatch(value) is not None


def _is_digest(value) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def _is_size(value) -> bool:
    return type(value) is int and SIZES[0] <= value <= SIZES[1]


def _are_fields(value) -> bool:
    return isinstance(value, list) and bool(value) and _each_once(value, FIELDS.__contains__)


def _are_names(value) -> bool:
    return isinstance(value, list) and len(value) <= NAMES and _each_once(value, _is_text)


def _each_once(values: list, right: Callable) -> bool:
    texts = all(isinstance(one, str) and right(one) for one in values)
    return texts and len(set(values)) == len(values)


def _once(pairs: list) -> dict:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError('a name stands twice in an object')
    return found


def _constant(name: str):
    raise ValueError(f'{name} is not a number')
