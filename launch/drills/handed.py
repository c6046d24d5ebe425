"""Damage in what is handed from one to another: bundles, and files of motion.

A damaged bundle is refused by the file's name, or says nothing else but in its texts that people
read: the card has the digests of all other files, and none of its own. Files of motion have no
digests, people edit them: a damaged one is refused by its name, or read as other numbers, which
are within their bounds.
"""

import pathlib
import shutil
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from launch.drills import damage
from reenact_jax import bundle
from reenact_jax.common.errors import UserError
from reenact_jax.configs import fomm as configs
from reenact_jax.data.tracks import DataInfo
from reenact_jax.export import command as export
from reenact_jax.export.trained import Trained, untrained
from reenact_jax.reenact import motion
from reenact_jax.systems import fomm

SIDE, FRAMES = 32, 12
# What of a card is more than a text.
_READ = ('format', 'size', 'points', 'motion', 'files', 'functions')
_OF_PARTS = ('driven_by', 'takes_depth')


class Handed(NamedTuple):
    """The files to damage, and what they say when they are whole."""

    bundle: pathlib.Path
    card: dict
    motions: dict[pathlib.Path, motion.Motion]


def make(folder: pathlib.Path) -> Handed:
    """Write an untrained first order motion model as a bundle, and a motion in both formats."""
    target = folder / 'bundle'
    shutil.rmtree(target, ignore_errors=True)
    hp = fomm.Hparams(**configs.PRESETS['tiny'] | dict(scales=(1.0,), lambda_gan=0.0))
    nets = fomm.networks(hp, DataInfo(1, 1))
    model = untrained(Trained('fomm', fomm, hp, nets, {}, '68', SIDE, {'step': 0}))
    export.write(target, model, model)
    rng = np.random.default_rng(0)
    units, landmarks = rng.uniform(0, 1, (FRAMES, 20)), rng.uniform(0, 1, (FRAMES, 68, 3))
    known = np.ones(units.shape, bool)
    made = motion.Motion(
        np.float32(units), known, Fraction(25), '68', np.float32(landmarks), np.arange(FRAMES) / 25
    )
    motions = {}
    for name in ('motion.csv', 'motion.json'):
        motion.write(folder / name, made)
        motions[folder / name] = motion.read(folder / name)
    return Handed(target, _facts(bundle.load(target).card), motions)


def of_bundle(handed: Handed, rng: np.random.Generator) -> tuple[str, list[str]]:
    """Damage a file of the bundle; return what was seen, and failures to notice it."""
    file = rng.choice(sorted(handed.bundle.iterdir()))
    kind = 'card' if file.name == bundle.CARD else file.suffix[1:]
    with damage.done(file, rng) as what:
        label = f'bundle, {kind}, {what}'
        try:
            card = bundle.load(handed.bundle).card
        except UserError as error:
            named = file.name in str(error)
            failures = [] if named else [f'{file}: not named in {error}']
            return f'{label}: refused by name', failures
    if kind == 'card' and _facts(card) == handed.card:
        return f'{label}: another text, the same model', []
    return f'{label}: SILENT', [f'{file}, {what}: loaded without a word']


def of_motion(handed: Handed, rng: np.random.Generator) -> tuple[str, list[str]]:
    """Damage a file of motion; return what was seen, and failures."""
    file = list(handed.motions)[rng.integers(len(handed.motions))]
    with damage.done(file, rng) as what:
        label = f'motion, {file.suffix[1:]}, {what}'
        try:
            found = motion.read(file)
        except UserError as error:
            named = file.name in str(error)
            return f'{label}: refused by name', [] if named else [f'not named in {error}']
    whole = handed.motions[file]
    known = [found.aus, *([] if found.landmarks is None else [found.landmarks])]
    if not all(np.isfinite(one).all() for one in known):
        return f'{label}: SILENT', [f'{file}, {what}: numbers that are not finite']
    if len(found.aus) < len(whole.aus):
        return f'{label}: fewer frames', []
    same = _equal(found, whole)
    return f'{label}: {"the same numbers" if same else "other numbers, within bounds"}', []


def _equal(one: motion.Motion, other: motion.Motion) -> bool:
    """Tell whether two motions have the same numbers at the same times."""
    parts = zip(
        (one.aus, one.valid, one.landmarks, one.times),
        (other.aus, other.valid, other.landmarks, other.times),
        strict=True,
    )
    return all(np.array_equal(a, b) for a, b in parts)  # also None and None


def _facts(card: dict) -> dict:
    parts = {
        part: {name: card[part].get(name) for name in _OF_PARTS}
        for part in ('generator', 'transfer')
    }
    return {name: card[name] for name in _READ} | parts
