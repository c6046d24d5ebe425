"""The model card of a bundle: what it is, what it is made from, what it must not be used for."""

import datetime
import importlib.metadata
import inspect
from collections.abc import Sequence

from reenact_jax import __version__, bundle
from reenact_jax.common import settings, storage
from reenact_jax.export.programs import PLATFORMS, Function, Trained, motion_of
from reenact_jax.systems.interface import member
from reenact_jax.trust import cards

LICENCE = 'Apache-2.0'
INTENDED_USE = (
    'Animating a portrait whose subject has agreed to it, or a synthetic portrait, with the motion '
    'of a driving face: research, teaching, film and accessibility work that says what it is.'
)
NOT_FOR = (
    'animating a person who has not agreed to it',
    'passing the result off as a recording: keep the mark of synthetic media in its metadata',
    'impersonation, fraud, harassment, sexual content, political deception',
    'identifying people, or deciding anything about a person from their face',
)
PACKAGES = ('jax', 'jaxlib', 'flax', 'numpy', 'safetensors')


def card(
    generator: Trained,
    transfers: Sequence[Trained],
    functions: dict[str, Function],
    files: dict[str, bytes],
    weights: dict[str, str | None],
) -> dict:
    """Return the card as plain values.

    Args:
      generator: the image generator.
      transfers: the landmark transfers, the default first; may be empty.
      functions: name -> function.
      files: name -> content of every file of the bundle except the card.
      weights: name of a function -> its weights file, None if it has none.
    """
    return {
        'format': bundle.FORMAT if len(transfers) < 2 else bundle.SEVERAL,
        **facts(generator, transfers),
        'functions': {
            name: {
                'file': f'{name}.jaxexport',
                'weights': weights[name],
                'names': list(function.names),
            }
            for name, function in functions.items()
        },
        'platforms': list(PLATFORMS),
        'versions': versions(PACKAGES),
        'files': {name: storage.digest(content) for name, content in sorted(files.items())},
    }


def facts(generator: Trained, transfers: Sequence[Trained]) -> dict:
    """Return what a card says of the models themselves, in whatever format they are written."""
    entries = [_transfer(one) for one in transfers]
    return {
        'licence': _licence((generator, *transfers)),
        'intended_use': INTENDED_USE,
        'not_for': list(NOT_FOR),
        'created': datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds'),
        'points': generator.points,
        'size': generator.size,
        'motion': motion_of(generator).kind,
        'generator': _model(generator)
        | {'takes_depth': member(generator.module, 'takes_depth')(generator.hp)},
        'transfer': entries[0] if entries else None,
        **({cards.MORE: entries[1:]} if entries[1:] else {}),
    }


def _transfer(part: Trained) -> dict:
    return _model(part) | {'driven_by': list(member(part.module, 'DRIVEN_BY'))}


def _licence(parts: Sequence[Trained]) -> str:
    """Return the licence of imported weights, of several joined; ours if there are none."""
    records = [part.record.get('weights') for part in parts]
    return '; '.join(dict.fromkeys(one['licence'] for one in records if one)) or LICENCE


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Return the versions of this package and of others, as installed."""
    return {'reenact_jax': __version__} | {n: importlib.metadata.version(n) for n in packages}


def _model(part: Trained) -> dict:
    """Describe a system; the paper is the first paragraph of the system's own docstring."""
    paper = (inspect.getdoc(part.module) or part.system).split('\n\n')[0]
    entry = {'system': part.system, 'paper': ' '.join(paper.split()), **part.record}
    if hasattr(part.hp, 'features'):
        entry['perceptual_features'] = part.hp.features
    if own := settings.own_parts(part.hp):
        entry['own_parts'] = own
    return entry
