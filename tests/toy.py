"""A system of four tiny networks, two stages and three players, for tests of training.

It has everything that is awkward: running statistics, spectral vectors, dropout, a frozen network,
a network that moves in both stages, averaged networks, a pretrained constant.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from reenact_jax.common.settings import setting
from reenact_jax.data.tracks import Batch
from reenact_jax.systems import losses as terms
from reenact_jax.systems import optimisers
from reenact_jax.systems.interface import Stage

POINTS = 68


@dataclasses.dataclass(frozen=True)
class Hparams:
    """Sizes, and what to switch off."""

    width: int = setting(16, low=1, doc='features')
    rate: float = setting(1e-2, low=0, doc='learning rate of Adam')
    one_steps: int = setting(6, low=0, doc='steps of stage one')
    two_steps: int = setting(4, low=0, doc='steps of stage two')
    batch_size: int = setting(8, low=2, doc='rows of a batch')
    statistics: bool = setting(True, doc='batch and spectral normalisation, dropout, noise')
    poison: str = setting('', choices=('', 'G', 'D', 'C'), doc='player whose loss is NaN')
    poison_below: float = setting(0.0, doc="NaN if a batch's first coordinate is below this")


class Encoder(nn.Module):
    """A dense layer with spectral normalisation."""

    width: int
    statistics: bool

    @nn.compact
    def __call__(self, x, train=True):
        x, layer = x.reshape(len(x), -1), nn.Dense(self.width)
        if self.statistics:
            spectral = nn.SpectralNorm(layer, collection_name='spectral')
            return nn.tanh(spectral(x, update_stats=train))
        return nn.tanh(layer(x))


class Generator(nn.Module):
    """Dense layers with batch normalisation and dropout."""

    width: int
    statistics: bool

    @nn.compact
    def __call__(self, x, train=True):
        x = nn.tanh(nn.Dense(self.width)(x))
        if self.statistics:
            x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
            x = nn.Dropout(0.1, deterministic=not train)(x)
        return nn.Dense(POINTS * 2)(x).reshape(-1, POINTS, 2)


class Judge(nn.Module):
    """A discriminator or a classifier."""

    width: int
    outputs: int

    @nn.compact
    def __call__(self, x, train=True):
        del train
        return nn.Dense(self.outputs)(nn.tanh(nn.Dense(self.width)(x.reshape(len(x), -1))))


def networks(hp, data):
    """Make E encoder, G generator, D discriminator of both stages, C classifier of stage one."""
    return {
        'E': Encoder(hp.width, hp.statistics),
        'G': Generator(hp.width, hp.statistics),
        'D': Judge(hp.width, 1),
        'C': Judge(hp.width, data.identities),
    }


def init(hp, nets, rng, batch):
    """Draw the networks' variables."""
    points = jnp.zeros((2, *batch.landmarks.shape[-2:]))
    arguments = {'E': points, 'G': jnp.zeros((2, hp.width)), 'D': points, 'C': points}
    keys = jax.random.split(rng, len(nets))
    return {
        network: dict(nets[network].init(key, arguments[network], train=False))
        for network, key in zip(nets, keys, strict=True)
    }


def stages(hp, data):
    """List two stages: all networks; then G and D with E frozen."""
    del data

    def losses(apply, constants, batch, rng):
        l = batch.landmarks[:, 0] / 64 - 1
        noise = jax.random.normal(rng, l.shape) * (0.01 if hp.statistics else 0.0)
        fake = apply('G', apply('E', l + noise))
        real, made = terms.apart(apply('D', terms.together(l, fake)))
        rec = terms.points(fake, l * constants['scale'])
        values = {
            'G': rec + terms.gan_generator([made], 'lsgan'),
            'D': terms.gan_discriminator([real], [made], 'lsgan'),
        }
        logits = apply('C', terms.partner(fake))
        other = terms.partner(batch.identity)
        values['C'] = -terms.log_probability(logits, other).mean()
        values['G'] -= 0.1 * values['C']
        if hp.poison:  # a marked batch makes this player's loss NaN
            bad = batch.landmarks[0, 0, 0, 0] < hp.poison_below
            values[hp.poison] *= jnp.where(bad, jnp.nan, 1.0)
        return values, {'rec': rec}

    def second(apply, constants, batch, rng):
        values, metrics = losses(apply, constants, batch, rng)
        return {'G': values['G'], 'D': values['D']}, metrics

    tx = {player: optimisers.adam(hp.rate, 100, 'cosine') for player in 'GDC'}
    first = {'G': ('E', 'G'), 'D': ('D',), 'C': ('C',)}
    both = (
        Stage('one', first, losses, tx, hp.one_steps, hp.batch_size, ema=('E', 'G')),
        Stage(
            'two',
            {'G': ('G',), 'D': ('D',)},
            second,
            {player: tx[player] for player in 'GD'},
            hp.two_steps,
            hp.batch_size,
            ema=('G',),
        ),
    )
    return tuple(stage for stage in both if stage.steps)


def constants(hp, load=True):
    """Return a pretrained number."""
    del hp, load
    return {'scale': np.float32(0.9)}


def preview(hp, nets, variables, batch):
    """Draw a grey square for each row, as bright as the reconstruction is good."""
    del hp
    l = batch.landmarks[:, 0] / 64 - 1
    code = nets['E'].apply(variables['E'], l, train=False)
    fake = nets['G'].apply(variables['G'], code, train=False)
    level = jnp.exp(-jnp.abs(fake - l).mean((1, 2)))[:, None, None, None]
    return {'likeness': jnp.broadcast_to(level, (len(l), 8, 8, 1)) * 2 - 1}


def batch(seed, rows=8, identities=4, poisoned=False):
    """Draw a random batch of landmarks as NumPy arrays; partners differ in identity."""
    rng = np.random.default_rng(seed)
    landmarks = rng.uniform(8, 120, (rows, 2, POINTS, 2)).astype(np.float32)
    if poisoned:
        landmarks[0, 0, 0, 0] = -1
    identity = rng.integers(0, identities // 2, rows).astype(np.int32) * 2
    identity[1::2] += 1
    return Batch(landmarks=landmarks, identity=identity)
