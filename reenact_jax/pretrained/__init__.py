"""What is in the box: a trained model, synthetic people, and motions that animate them.

    reenact-jax reenact                                                     # the demonstration
    reenact-jax reenact --source portrait.jpg --driving talk --out talk.mp4

Names of models go wherever a bundle is asked for, those of motions wherever a driver is; a file or
folder of your own of such a name is written ./NAME. Where all of it comes from:
launch/train_portrait.sh (the model), data_prep/performances.py (people and motions).
"""

import pathlib

MODELS = ('portrait',)
MOTIONS = ('talk', 'smile', 'look_around')
_BOX = pathlib.Path(__file__).parent


def model(name: str) -> pathlib.Path | None:
    """Return the folder of a shipped bundle; None: no bundle of that name is shipped."""
    return _BOX / name if name in MODELS else None


def motion(name: str) -> pathlib.Path | None:
    """Return the file of a shipped motion (reenact/motion.py); None: there is none of that name."""
    return _BOX / 'motions' / f'{name}.csv' if name in MOTIONS else None


def people() -> list[pathlib.Path]:
    """Return the pictures of synthetic people, the one of the demonstration first."""
    return sorted((_BOX / 'people').glob('*.jpg'))


def film() -> pathlib.Path:
    """Return a short video of a synthetic person, as a driver."""
    return _BOX / 'people' / 'driver.mp4'
