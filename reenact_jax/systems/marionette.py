"""MarioNETte's landmark transformer (Ha et al. 2020), which AAN takes as its transfer.

3D landmarks of person c in frame t, free of size, place and rotation, are a sum

    l(c, t) = l_m + l_id(c) + l_exp(c, t)

of the mean over everything, the person's own mean less l_m, and the rest. The basis b_exp is
fitted beforehand: principal components of l_exp, for one group of face parts at a time.

    reenact-jax prepare bases --data DATA --out bases.npz

M guesses the coefficients of one frame: l^_exp = lambda_exp b_exp^T alpha^ (in training without the
gain lambda_exp), l^_id = l - l_m - l^_exp. Transfer: l_m + l^_id(source) + l^_exp(driving) at the
driver's rotation.

Networks: M the disentangler, B the bases (arrays that never move, kept with the networks).

Ours, since this was written from the paper's idea without its text: M sees landmarks alone (the
paper's sees the image as well) and is an MLP whose outputs are in standard deviations; the groups
and their numbers of components; the alignment (all points, `rigid.fit`); where the result is put
(`landmarks.place`).
"""

import dataclasses
import io
import json
import zipfile
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float, Int

from reenact_jax.common import settings, storage
from reenact_jax.common.errors import UserError
from reenact_jax.common.settings import setting
from reenact_jax.data.tracks import Batch, DataInfo, Face
from reenact_jax.geometry import exact, layouts, rigid
from reenact_jax.geometry import landmarks as lm
from reenact_jax.nets import frozen_apply
from reenact_jax.nets.initial import init_each
from reenact_jax.nets.mlp import MLP
from reenact_jax.systems import losses, optimisers
from reenact_jax.systems.interface import Stage

DRIVEN_BY = ('landmarks', 'landmarks3d')  # what `identify` and `transfer` need of a face
EARLIER = {'gain_in_training': True}  # values of the fields that old configs lack
GROUPS = {  # group -> parts of the layout, by the beginning of their names
    'contour': ('jaw',),
    'eyes': ('left_brow', 'right_brow', 'left_eye', 'right_eye', 'left_pupil', 'right_pupil'),
    'nose': ('nose',),
    'mouth': ('outer_lips', 'inner_lips'),
}


@dataclasses.dataclass(frozen=True)
class Hparams:
    """MarioNETte's settings: all numbers but lambda_exp are ours."""

    bases: str = setting(
        '', doc='file of bases (.npz), fitted on the training data by `reenact-jax prepare bases`'
    )
    components: tuple[int, ...] = setting(
        (6, 10, 4, 12),
        least=4,
        low=1,
        high=300,
        doc=f'number of components of the groups {", ".join(GROUPS)}',
    )
    lambda_exp: float = setting(
        1.5, low=0, high=100, doc="gain of l^_exp in use: the paper's (from memory)"
    )
    gain_in_training: bool = setting(
        False,
        doc='the gain is on in training as well and cancels, as in workdirs from before this field',
    )
    strength: float = setting(
        1.0, low=0, high=100, doc="strength of the driver's expression in transfer (1: as it is)"
    )
    layers: int = setting(3, low=1, high=1000, doc='hidden layers of M')
    width: int = settings.width(256, 'M: features of a hidden layer')
    rate: float = settings.rate(1e-3, 'learning rate of Adam')
    schedule: str = setting(
        'cosine', choices=optimisers.SCHEDULES, doc='schedule of the learning rate'
    )
    steps: int = settings.steps(20_000, 'number of updates', low=1)
    examples: int = settings.batch(64, 'batch size: tracks times `frames`')
    frames: int = setting(4, low=1, high=1000, doc='examples from one track')


class Bases(nn.Module):
    """l_m, b_exp, its standard deviations and every person's mean shape, as collection `bases`."""

    points: int
    components: int
    identities: int

    def setup(self):
        n, m = self.points, self.components
        shapes = {'mean': (n, 3), 'basis': (m, n, 3), 'deviation': (m,)}
        shapes['person'] = (self.identities, n, 3)
        for name, shape in shapes.items():
            setattr(self, name, self.variable('bases', name, jnp.zeros, shape))

    def __call__(self, points: Float[Array, 'b n 3'], train: bool = True):
        """Return (the shapes less l_m, their placements)."""
        del train
        placement = rigid.fit(points, self.mean.value)
        return rigid.remove(points, placement) - self.mean.value[None], placement

    def expression(self, alpha: Float[Array, 'b m'], train: bool = True) -> Float[Array, 'b n 3']:
        """Compute b_exp^T alpha, alpha in standard deviations."""
        del train
        scaled = alpha * self.deviation.value[None]
        return exact.einsum('bm,mnd->bnd', scaled, self.basis.value)

    def own(self, identity: Int[Array, ' b'], train: bool = True) -> Float[Array, 'b n 3']:
        """Look up l_id of people of the training data."""
        del train
        return self.person.value[identity] - self.mean.value[None]

    def whole(self, shape: Float[Array, 'b n 3'], train: bool = True) -> Float[Array, 'b n 3']:
        """Add l_m to a shape less l_m."""
        del train
        return shape + self.mean.value[None]


def networks(hp: Hparams, data: DataInfo) -> dict:
    """Build M and B.

    Raises:
      UserError: the groups and `components` differ in number.
    """
    if len(hp.components) != len(GROUPS):
        raise UserError(
            f'hparams.components: {len(hp.components)} numbers, the groups are {", ".join(GROUPS)}'
        )
    points, count = layouts.layout(data.points).count, sum(hp.components)
    return {
        'M': MLP(count, hp.width, hp.layers),
        'B': Bases(points, count, data.identities),
    }


def init(hp: Hparams, nets: dict, rng: jax.Array, batch: Batch) -> dict:
    """Initialise the variables of all networks, the bases from their file (zeros without one)."""
    points = jnp.zeros((1, batch.landmarks.shape[-2], 3))
    variables = init_each(nets, rng, {'M': (points,), 'B': (points,)})
    if hp.bases:
        variables['B'] = {'bases': jax.tree.map(jnp.asarray, load(hp, nets['B']))}
    return variables


def stages(hp: Hparams, data: DataInfo) -> tuple[Stage, ...]:
    """Return the one stage: M learns by its squared error on l_exp.

    Raises:
      UserError: `examples` are not pairs of tracks of `frames` frames.
    """
    del data
    if hp.examples % (2 * hp.frames):
        raise UserError(
            f'hparams.examples: {hp.examples} are not pairs of tracks of hparams.frames = '
            f'{hp.frames}; take a multiple of {2 * hp.frames}'
        )

    def stage_losses(apply, constants, batch, rng):
        del constants, rng
        return terms(hp, apply, batch)

    return (
        Stage(
            'marionette',
            {'M': ('M',)},
            stage_losses,
            {'M': optimisers.adam(hp.rate, hp.steps, hp.schedule)},
            hp.steps,
            hp.examples // hp.frames,
            ema=('M',),
            reads=('landmarks', 'landmarks3d', 'identity'),
            frames=hp.frames,
            neighbour='unused',
        ),
    )


def constants(hp: Hparams, load: bool = True) -> dict:
    """Load nothing, but refuse a training run without bases.

    Raises:
      UserError: `load` is on and there is no file of bases.
    """
    if load and not hp.bases:
        raise UserError(
            'hparams.bases: no file given; fit the bases on the training data: '
            'reenact-jax prepare bases DATA --out bases.npz'
        )
    return {}


# --- the bases' file -------------------------------------------------------------------------


def load(hp: Hparams, net: Bases) -> dict[str, np.ndarray]:
    """Read the arrays of collection `bases`.

    Raises:
      UserError: the file, which is named, is not there, is no file of bases, or does not fit.
    """
    advice = 'fit it on the training data: reenact-jax prepare bases DATA --out FILE'
    if storage.size(hp.bases) is None:
        raise UserError(f'hparams.bases: {hp.bases}: no such file; {advice}')
    try:
        with np.load(io.BytesIO(storage.read(hp.bases)), allow_pickle=False) as arrays:
            stored = {name: arrays[name] for name in ('mean', 'person', 'basis', 'deviation')}
            groups = json.loads(arrays['groups'].item())
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(
            f'hparams.bases: {hp.bases}: not a file of bases ({error}); {advice}'
        ) from None
    kept = []
    for count, (group, (first, last)) in zip(hp.components, groups.items(), strict=True):
        if last - first < count:
            raise UserError(
                f'hparams.components: {count} of {group}, {hp.bases} has {last - first}; '
                'fit more (--components) or ask for fewer'
            )
        kept += range(first, first + count)
    stored |= {name: stored[name][kept] for name in ('basis', 'deviation')}
    if stored['person'].shape != (net.identities, net.points, 3):
        people, points = stored['person'].shape[:2]
        raise UserError(
            f'hparams.bases: {hp.bases}: of {people} people and {points} points, the training '
            f'data have {net.identities} and {net.points}; {advice}'
        )
    return {name: value.astype(np.float32) for name, value in stored.items()}


def save(arrays: dict[str, np.ndarray], groups: dict[str, tuple[int, int]]) -> bytes:
    """Encode arrays as a file of bases.

    Args:
      arrays: `mean`, `person`, `basis` and `deviation`.
      groups: for each group its rows of `basis`, first and behind the last.

    Returns:
      The file's content.
    """
    file = io.BytesIO()
    stored: dict[str, Any] = {'groups': np.array(json.dumps(groups)), **arrays}
    np.savez(file, **stored)
    return file.getvalue()


def group_points(layout: layouts.Layout, group: str) -> tuple[int, ...]:
    """List the point numbers of one of `GROUPS`."""
    return tuple(
        sorted(
            point
            for part, points in layout.parts.items()
            if part.startswith(GROUPS[group])
            for point in points
        )
    )


# --- losses ----------------------------------------------------------------------------------


def terms(hp: Hparams, apply, batch: Batch):
    """Compute E ||l_exp - l^_exp||^2, a mean over points, in units of the mean shape's size."""
    points = batch.landmarks3d.reshape(-1, *batch.landmarks3d.shape[-2:])
    identity = jnp.repeat(batch.identity, batch.landmarks3d.shape[1])
    less_mean, _ = apply('B', points)
    truth = less_mean - apply('B', identity, method='own')
    gain = hp.lambda_exp if hp.gain_in_training else 1.0
    value = losses.points(_expression(apply, less_mean, gain), truth)
    spread = losses.points(truth, jnp.zeros_like(truth))
    return {'M': value}, {'unexplained': value / jnp.maximum(spread, 1e-12)}


def _expression(apply, less_mean: Float[Array, 'b n 3'], gain: float) -> Float[Array, 'b n 3']:
    """Compute l^_exp."""
    return gain * apply('B', apply('M', less_mean), method='expression')


# --- use -------------------------------------------------------------------------------------


def identify(hp: Hparams, nets: dict, variables: dict, source: Face) -> dict:
    """Compute l^_id of the source, once.

    Returns:
      {'shape': l^_id [b, n, 3], 'box': the box of the source's landmarks}.
    """
    apply = frozen_apply(nets, variables)
    less_mean, _ = apply('B', source.landmarks3d)
    shape = less_mean - _expression(apply, less_mean, hp.lambda_exp)
    return {'shape': shape, 'box': lm.box(source.landmarks)}


def transfer(
    hp: Hparams, nets: dict, variables: dict, identity: dict, driving: Face, first: Face
) -> Float[Array, 'b n 2']:
    """Put the driver's pose and expression on the source's identity, in the source's pixels.

    Arguments are as of LD-Net's `transfer`; faces bring `landmarks` [b, n, 2] and `landmarks3d`
    [b, n, 3].
    """
    apply = frozen_apply(nets, variables)
    less_mean, placement = apply('B', driving.landmarks3d)
    expression = hp.strength * _expression(apply, less_mean, hp.lambda_exp)
    points = apply('B', identity['shape'] + expression, method='whole')
    flat = rigid.restore(points, placement)[..., :2]
    placed = lm.place(identity['box'], lm.box(driving.landmarks), lm.box(first.landmarks))
    return lm.denormalise(lm.normalise(flat, *lm.box(flat)), *placed)


def latent(hp: Hparams, nets: dict, variables: dict, face: Face) -> dict[str, Array]:
    """Compute two codes of a face: `identity` is l^_id, `pose` coefficients and rotation."""
    apply = frozen_apply(nets, variables)
    less_mean, placement = apply('B', face.landmarks3d)
    alpha = apply('M', less_mean)
    shape = less_mean - hp.lambda_exp * apply('B', alpha, method='expression')
    turn = placement.rotation.reshape(-1, 9)
    return {
        'identity': shape.reshape(shape.shape[0], -1),
        'pose': jnp.concatenate([alpha, turn], -1),
    }


def preview(hp: Hparams, nets: dict, variables: dict, batch: Batch) -> dict[str, Array]:
    """Draw lines [b, 128, 128, 1] in [-1, 1]: every row is driven by its partner."""
    side = 128
    source = Face(landmarks=batch.landmarks[:, 0], landmarks3d=batch.landmarks3d[:, 0])
    points, deep = (losses.partner(one[:, -1]) for one in (batch.landmarks, batch.landmarks3d))
    driving = Face(landmarks=points, landmarks3d=deep)
    identity = identify(hp, nets, variables, source)
    moved = transfer(hp, nets, variables, identity, driving, driving)
    layout = layouts.of_count(moved.shape[-2])

    def draw(points):
        points = (lm.normalise(points, *identity['box']) * 0.4 + 0.5) * side
        return lm.raster(points, layout, side)[..., None] * 2 - 1

    shown = lm.denormalise(lm.normalise(points, *lm.box(points)), *identity['box'])
    return {'source': draw(source.landmarks), 'driving': draw(shown), 'result': draw(moved)}
