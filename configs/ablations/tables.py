"""What the files of tables share: models of three sizes, and the config of one."""

from collections.abc import Mapping
from typing import NamedTuple

from reenact_jax.configs import aan as aan_config
from reenact_jax.configs import facegan as facegan_config
from reenact_jax.configs import fomm as fomm_config
from reenact_jax.configs import freenet as freenet_config
from reenact_jax.configs import ldnet_fdgan, pix2pix
from reenact_jax.configs import marionette as marionette_config
from reenact_jax.train import config

SIZES = ('paper', 'cpu', 'tiny')


class Model(NamedTuple):
    """One training.

    Attributes:
      system: name of the system.
      sizes: size -> departures from the system's defaults.
      changes: further departures, at every size.
      data: what it learns from: `heads` (images), `people` (landmarks), `expressions` (landmarks,
        shared expressions, own poses).
    """

    system: str
    sizes: Mapping[str, Mapping]
    changes: Mapping
    data: str = 'heads'

    def hparams(self, size: str) -> dict:
        """Return all departures at a size."""
        return {**self.sizes[size], **self.changes}


def build(models: Mapping[str, Model], preset: str):
    """Return the config of the preset MODEL or MODEL_SIZE.

    Raises:
      UserError: there is no such preset; lists those that there are.
    """
    known = {
        name if size == 'paper' else f'{name}_{size}': (model.system, model.hparams(size))
        for name, model in models.items()
        for size in SIZES
    }
    system, hparams = config.preset(known, preset)
    return config.build(system, run={}, hparams=hparams)


def aan(**changes) -> Model:
    """Return AAN as printed; `cpu` is as long as the quickstart's: 15 minutes of a core."""
    presets = aan_config.PRESETS
    masks = 'prior', 'mask', 'part_masks', 'occlusion', 'unseen'
    mouth = 'inner_mouth', 'mouth_palette', 'mouth_form'
    printed = dict.fromkeys(masks + mouth, False)
    tiny = presets['tiny'] | printed | dict(upscale='shuffle')
    sizes = {'paper': {}, 'cpu': presets['printed'], 'tiny': tiny}
    return Model('aan', sizes, changes)


def ldnet(**changes) -> Model:
    """Return LD-Net; `cpu` takes 5 minutes of a core."""
    presets = ldnet_fdgan.LDNET
    sizes = {'paper': {}, 'cpu': presets['small'], 'tiny': presets['tiny']}
    return Model('ldnet', sizes, changes, 'people')


def marionette(**changes) -> Model:
    """Return MarioNETte's transformer; `cpu` takes 5 minutes of a core. A sweep fits its bases."""
    presets = marionette_config.PRESETS
    sizes = {'paper': {}, 'cpu': presets['cpu'], 'tiny': presets['tiny']}
    return Model('marionette', sizes, changes, 'people')


def fdgan(**changes) -> Model:
    """Return FD-GAN; `cpu` takes 25 minutes of a core at 64 x 64."""
    presets = ldnet_fdgan.FDGAN
    sizes = {'paper': {}, 'cpu': presets['fdgan_small'], 'tiny': presets['fdgan_tiny']}
    return Model('fdgan', sizes, changes)


def pix2pix_hd(**changes) -> Model:
    """Return Pix2PixHD; `cpu` takes 21 minutes of a core at 64 x 64."""
    presets = pix2pix.PRESETS
    cpu = presets['hd_small'] | dict(joint_steps=2_400)
    sizes = {'paper': {}, 'cpu': cpu, 'tiny': presets['hd_tiny']}
    return Model('pix2pix', sizes, changes)


def pix2pix_unet(**changes) -> Model:
    """Return Pix2Pix."""
    presets = pix2pix.PRESETS
    cpu = presets['unet_small'] | dict(steps=5_000)
    return Model(
        'pix2pix', {'paper': presets['unet'], 'cpu': cpu, 'tiny': presets['unet_tiny']}, changes
    )


def freenet(**changes) -> Model:
    """Return FReeNet, both stages. `cpu` takes the driver's pose: synthetic people share it."""
    presets = freenet_config.PRESETS
    cpu, tiny = (presets[name] | dict(pose='driving') for name in ('small', 'tiny'))
    return Model('freenet', {'paper': {}, 'cpu': cpu, 'tiny': tiny}, changes)


def ulc(**changes) -> Model:
    """Return FReeNet's landmark converter alone; `cpu` takes 4 minutes of a core."""
    presets = freenet_config.PRESETS
    sizes = {
        'paper': dict(gag_epochs=0),
        'cpu': presets['ulc'] | dict(ulc_steps=8_000),
        'tiny': presets['tiny'] | dict(gag_epochs=0),
    }
    return Model('freenet', sizes, changes, 'expressions')


def facegan(**changes) -> Model:
    """Return FACEGAN, all six stages."""
    presets = facegan_config.PRESETS
    sizes = {'paper': {}, 'cpu': presets['small'], 'tiny': presets['tiny']}
    return Model('facegan', sizes, changes)


def fomm(**changes) -> Model:
    """Return the first order motion model, transfer and generator in one."""
    presets = fomm_config.PRESETS
    sizes = {'paper': {}, 'cpu': presets['quick'], 'tiny': presets['tiny']}
    return Model('fomm', sizes, changes)
