"""LD-Net: landmark disentanglement, the landmark half of LD-Net + FD-GAN ("One-Shot
Identity-Preserving Portrait Reenactment", sections 3.1 and 4, supplement 6-7).

Words: the paper's **target** (the portrait whose identity is kept) is our **source**; the paper's
**source** (the driver) is our **driving**. Inside the losses l_S1, l_S2, l_T keep the paper's
names: two frames of one person S, a frame of another person T.

Networks: E_P pose/expression encoder, N_I identity table, G generator, C1 classifier of stage 1;
E_I identity encoder, D_l and C_l discriminator and classifier of stage 2. Landmarks are normalised
so that their square bounding box spans [-1, 1]; reconstruction is the mean over points of the
squared distance.

Departures: all players step at once from one forward pass, and the generator's networks are
averaged (`config.ema_decay`; 0 switches it off): a stage hands on and exports the averages; the two
frames of one person are of one track, not any two; log P in eq. 2 has a floor (`leak_floor`). The
other fields under "not in the paper" are off by default.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from reenact_jax.common import settings
from reenact_jax.common.errors import UserError
from reenact_jax.common.settings import setting
from reenact_jax.data.tracks import Batch, DataInfo, Face
from reenact_jax.geometry import landmarks as lm
from reenact_jax.geometry import layouts
from reenact_jax.nets import frozen_apply
from reenact_jax.nets.initial import init_each
from reenact_jax.nets.mlp import MLP, IdentityTable
from reenact_jax.systems import losses, optimisers
from reenact_jax.systems.interface import Stage
from reenact_jax.systems.ldnet_fdgan import gestures, parts

MEAN_AFTER = 16.0  # frames of an identity before its running mean shape is trusted (ours)


@dataclasses.dataclass(frozen=True)
class Hparams:
    """LD-Net's settings: the paper's numbers, and what is ours."""

    layers: int = setting(10, low=1, high=1000, doc='hidden layers of every MLP, supplement 6')
    width: int = settings.width(512, 'features of a hidden layer, supplement 6')
    pose_code: int = settings.width(64, 'length of the pose/expression code, supplement 6')
    identity_code: int = settings.width(128, 'length of the identity code, supplement 6')
    lambda_rec: float = settings.weight(1000.0, 'weight of the reconstruction, eqs. 2 and 7')
    stage1_lambda_c: float = settings.weight(0.1, 'stage 1: weight of the classifier, eq. 2')
    stage2_lambda_c: float = settings.weight(0.1, 'stage 2: weight of the classifier, eq. 7')
    lambda_d: float = settings.weight(0.1, 'weight of the discriminator, eq. 7')
    lambda_cont: float = settings.weight(0.01, 'weight of the content consistency, eq. 7')
    stage1_rate: float = settings.rate(1e-4, 'stage 1: learning rate of Adam, table 5')
    stage1_steps: int = settings.steps(400_000, 'stage 1: number of updates, table 5')
    stage2_rate: float = settings.rate(5e-5, 'stage 2: learning rate of Adam, table 5')
    stage2_steps: int = settings.steps(
        1_000_000, 'stage 2: number of updates, table 5; 0: no stage 2'
    )
    examples: int = settings.batch(32, 'batch size, table 5: tracks times `frames`')
    frames: int = setting(
        1, low=1, high=1000, doc='examples from one track (ours; stage 2 reads twice that)'
    )
    schedule: str = setting(
        'constant', choices=optimisers.SCHEDULES, doc='schedule of the learning rate (ours)'
    )
    leak_floor: bool = setting(
        True, doc='eq. 2: log P is no lower than that of a guess (ours: as printed it has no bound)'
    )
    # Not in the paper, off in its preset.
    mean_swap: float = settings.share(
        0.0, 'stage 1: probability that E_P sees l + mean_T - mean_S (ours)'
    )
    warm_steps: int = settings.steps(
        0, 'before stage 2: updates that fit E_I(l) to N_I(S), G and E_P frozen (ours)'
    )
    warm_rate: float = settings.rate(1e-3, 'learning rate of Adam in the warm start (ours)')
    move_pose_encoder: bool = setting(False, doc='whether stage 2 moves E_P as well (ours)')
    renormalise: bool = setting(
        False, doc="whether G's output is always mapped to its own box (ours)"
    )
    lambda_part: float = settings.weight(
        0.0, "weight of the error in units of its part's size, `parts.by_part` (ours)"
    )
    lambda_chord: float = settings.weight(
        0.0, 'weight of the error from lid to lid, lip to lip, `parts.by_chord` (ours)'
    )
    gesture: float = setting(
        0.0,
        low=0,
        high=10,
        doc='strength of random moves of brows, lids, lips, `gestures.gesture` (ours)',
    )


def networks(hp: Hparams, data: DataInfo) -> dict:
    """Build the paper's networks. `data` gives the number of identities and the layout.

    Raises:
      UserError: there are fewer than 2 identities.
    """
    if data.identities < 2:
        raise UserError(
            f'LD-Net needs at least 2 identities to tell apart, the data has {data.identities}'
        )
    points = layouts.layout(data.points).count

    def mlp(outputs):
        return MLP(outputs, hp.width, hp.layers)

    return {
        'E_P': mlp(hp.pose_code),
        'N_I': IdentityTable(data.identities, hp.identity_code, points),
        'G': mlp(points * 2),
        'C1': mlp(data.identities),
        'E_I': mlp(hp.identity_code),
        'D_l': mlp(1),
        'C_l': mlp(data.identities),
    }


def init(hp: Hparams, nets: dict, rng: jax.Array, batch: Batch) -> dict:
    """Initialise the variables of all networks; of `batch` only the number of points matters."""
    points = jnp.zeros((2, *batch.landmarks.shape[-2:]))
    pose, code = jnp.zeros((2, hp.pose_code)), jnp.zeros((2, hp.identity_code))
    arguments = {network: (points,) for network in nets}
    arguments |= {'N_I': (jnp.zeros(2, jnp.int32),), 'G': (pose, code)}
    return init_each(nets, rng, arguments)


def stages(hp: Hparams, data: DataInfo) -> tuple[Stage, ...]:
    """List stage 1, the warm start of E_I (`warm_steps`) and stage 2, without stages of 0 steps.

    Raises:
      UserError: `examples` are not pairs of tracks of `frames` frames.
    """
    del data
    if hp.examples % (2 * hp.frames):
        raise UserError(
            f'hparams.examples: {hp.examples} are not pairs of tracks of hparams.frames = '
            f'{hp.frames}; take a multiple of {2 * hp.frames}'
        )
    rows = hp.examples // hp.frames
    moved = ('E_I', 'G', 'E_P') if hp.move_pose_encoder else ('E_I', 'G')

    def stage(name, players, terms, rate, steps, frames):
        tx = {player: optimisers.adam(rate, steps, hp.schedule) for player in players}

        def stage_losses(apply, constants, batch, rng):
            del constants
            return terms(hp, apply, batch, rng)

        return Stage(
            name,
            players,
            stage_losses,
            tx,
            steps,
            rows,
            ema=players['G'],
            frames=frames,
        )

    first = {'G': ('E_P', 'N_I', 'G'), 'C': ('C1',)}
    second = {'G': moved, 'D': ('D_l',), 'C': ('C_l',)}
    every = (
        stage('ldnet_1', first, stage1, hp.stage1_rate, hp.stage1_steps, hp.frames),
        stage('ldnet_warm', {'G': ('E_I',)}, warm, hp.warm_rate, hp.warm_steps, hp.frames),
        stage('ldnet_2', second, stage2, hp.stage2_rate, hp.stage2_steps, 2 * hp.frames),
    )
    return tuple(one for one in every if one.steps)


def constants(hp: Hparams, load: bool = True) -> dict:
    """Return none: LD-Net uses no pretrained network."""
    del hp, load
    return {}


# --- losses ----------------------------------------------------------------------------------


def stage1(hp: Hparams, apply, batch: Batch, rng: jax.Array):
    """Compute eqs. 1 and 2. Label T is the partner's; both branches share one pass of E_P and G."""
    l, identity, other = _examples(batch)
    l = gestures.gesture(l, hp.gesture, rng)
    pose = apply('E_P', _swapped(hp, apply, l, identity, other, rng) if hp.mean_swap else l)
    code = apply('N_I', losses.together(identity, other))
    raw = _raw(apply, losses.together(pose, pose), code)
    l_s, l_t = losses.apart(_boxed(hp, raw))
    logits = apply('C1', l_t)
    rec = losses.points(l_s, l)
    leak = losses.log_probability(logits, identity, hp.leak_floor).mean()
    values = {
        'G': _weighted(hp, rec, l_s, l) + hp.stage1_lambda_c * leak,  # eq. 2
        'C': -losses.log_probability(logits, identity).mean(),  # eq. 1
    }
    metrics = {
        'rec': rec,
        'leak_log_p': leak,
        'C_accuracy': losses.accuracy(logits, identity),
        'max_transfer': _largest(raw),
    }
    return values, metrics


def warm(hp: Hparams, apply, batch: Batch, rng: jax.Array):
    """Fit E_I(l) to stage 1's code N_I(S) of the same person (not in the paper)."""
    del hp, rng
    l, identity, _ = _examples(batch)
    value = losses.codes(apply('E_I', l), apply('N_I', identity))
    return {'G': value}, {'code_distance': value}


def stage2(hp: Hparams, apply, batch: Batch, rng: jax.Array):
    """Compute eqs. 3 to 7. T is the partner, so that E_I(l_T) is the partner's E_I(l_S1).

    Eq. 7 prints E(l'_S1) in its content term; eq. 5 defines it with l'_T, which is used.
    """
    k = batch.landmarks.shape[1] // 2
    l_s1, _, label_t = _examples(batch, slice(None, k))
    l_s2, *_ = _examples(batch, slice(k, None))
    # E_I sees people as they are; what C_l and D_l compare has gestures, real and fake alike.
    l_s2 = gestures.gesture(l_s2, hp.gesture, rng)
    l_t = gestures.gesture(_partner(l_s1, k), hp.gesture, jax.random.fold_in(rng, 2))
    code = apply('E_I', l_s1)
    pose = apply('E_P', l_s2)
    codes = losses.together(code, _partner(code, k))
    raw = _raw(apply, losses.together(pose, pose), codes)
    fake_s2, fake_t = losses.apart(_boxed(hp, raw))
    d_real, d_fake = losses.apart(apply('D_l', losses.together(l_s2, fake_t)))
    c_real, c_fake = losses.apart(apply('C_l', losses.together(l_t, fake_t)))
    rec = losses.points(fake_s2, l_s2)  # eq. 6
    # Eq. 5: E_P(l_S2) is the ground truth, also where E_P moves.
    content = losses.codes(apply('E_P', fake_t), jax.lax.stop_gradient(pose))
    fooled = -losses.log_probability(c_fake, label_t).mean()
    values = {
        'G': _weighted(hp, rec, fake_s2, l_s2)
        + hp.lambda_cont * content
        + hp.lambda_d * losses.gan_generator([d_fake], 'lsgan')
        + hp.stage2_lambda_c * fooled,  # eq. 7
        'D': losses.gan_discriminator([d_real], [d_fake], 'lsgan'),  # eq. 3
        'C': -losses.log_probability(c_real, label_t).mean()
        - losses.log_complement(c_fake, label_t).mean(),  # eq. 4
    }
    metrics = {
        'rec': rec,
        'content': content,
        'D_real': d_real.mean(),
        'D_fake': d_fake.mean(),
        'C_accuracy': losses.accuracy(c_real, label_t),
        'max_transfer': _largest(raw),
    }
    return values, metrics


def _weighted(hp: Hparams, rec: Array, prediction: Array, truth: Array) -> Float[Array, '']:
    """Compute lambda_rec L_rec, and what is ours beside it."""
    value = hp.lambda_rec * rec
    if hp.lambda_part:
        value = value + hp.lambda_part * parts.by_part(prediction, truth)
    if hp.lambda_chord:
        value = value + hp.lambda_chord * parts.by_chord(prediction, truth)
    return value


def _examples(batch: Batch, frames: slice = slice(None)):
    """Return normalised landmarks [b*k, n, 2], their and their partners' identities [b*k]."""
    points = batch.landmarks[:, frames]
    k = points.shape[1]
    points = points.reshape(-1, *points.shape[2:])
    identity = jnp.repeat(batch.identity, k)
    return lm.normalise(points, *lm.box(points)), identity, _partner(identity, k)


def _partner(x: Array, k: int) -> Array:
    """Return the partner's values for rows of `k` frames each, flattened."""
    return losses.partner(x.reshape(-1, k, *x.shape[1:])).reshape(x.shape)


def _raw(apply, pose: Array, code: Array) -> Float[Array, 'b n 2']:
    """Compute G's output, in units of a box."""
    flat = apply('G', pose, code)
    return flat.reshape(flat.shape[0], -1, 2)


def _boxed(hp: Hparams, points: Float[Array, 'b n 2']) -> Float[Array, 'b n 2']:
    """Map points to their own box, with `renormalise`."""
    return lm.normalise(points, *lm.box(points)) if hp.renormalise else points


def _largest(raw: Float[Array, '_ n 2']) -> Float[Array, '']:
    """Find the largest coordinate of the transfers (second rows): a collapse that losses hide."""
    return jnp.abs(losses.apart(raw)[1]).max()


def _swapped(hp: Hparams, apply, l, identity, other, rng) -> Float[Array, 'b n 2']:
    """Exchange the running mean shape of S in l for T's, and renormalise (mean-shape swap).

    l is left alone with probability 1 - `mean_swap`, and while either mean rests on few frames.
    """
    mean, mean_other, seen = apply('N_I', identity, other, l, method='mean_shapes')
    swapped = l + mean_other - mean
    known = seen >= MEAN_AFTER
    use = known & jax.random.bernoulli(rng, hp.mean_swap, known.shape)
    swapped = lm.normalise(swapped, *lm.box(swapped))
    return jnp.where(use[:, None, None], swapped, l)


# --- use -------------------------------------------------------------------------------------


def identify(hp: Hparams, nets: dict, variables: dict, source: Face) -> dict:
    """Compute the source's identity, once per source.

    Returns:
      {'code': E_I of its landmarks [b, c], 'box': their box}.
    """
    del hp
    box = lm.box(source.landmarks)
    code = frozen_apply(nets, variables)('E_I', lm.normalise(source.landmarks, *box))
    return {'code': code, 'box': box}


def transfer(
    hp: Hparams, nets: dict, variables: dict, identity: dict, driving: Face, first: Face
) -> Float[Array, 'b n 2']:
    """Put the driver's pose and expression on the source's identity, in the source's pixels.

    Args:
      identity: of `identify`; one row, or as many as `driving` has.
      driving: landmarks [b, n, 2] in the driver's pixels.
      first: the driver's first frame, one row or b. The box is placed by `landmarks.place`: the
        source itself as `first` gives absolute placement, `driving` as `first` a still box.
    """
    apply = frozen_apply(nets, variables)
    box = lm.box(driving.landmarks)
    pose = apply('E_P', lm.normalise(driving.landmarks, *box))
    code = jnp.broadcast_to(identity['code'], (pose.shape[0], identity['code'].shape[-1]))
    shape = _boxed(hp, _raw(apply, pose, code))
    return lm.denormalise(shape, *lm.place(identity['box'], box, lm.box(first.landmarks)))


def latent(hp: Hparams, nets: dict, variables: dict, face: Face) -> dict[str, Array]:
    """Compute the two codes of a face, {'identity': E_I, 'pose': E_P} (the paper's table 1)."""
    del hp
    apply = frozen_apply(nets, variables)
    shape = lm.normalise(face.landmarks, *lm.box(face.landmarks))
    return {'identity': apply('E_I', shape), 'pose': apply('E_P', shape)}


def preview(hp: Hparams, nets: dict, variables: dict, batch: Batch) -> dict[str, Array]:
    """Draw lines [b, 128, 128, 1] in [-1, 1]: every row is driven by its partner.

    Before the warm start or stage 2 the identity encoder is untrained, and the result means
    nothing.
    """
    side = 128
    source = Face(landmarks=batch.landmarks[:, 0])
    driving = Face(landmarks=losses.partner(batch.landmarks[:, -1]))
    identity = identify(hp, nets, variables, source)
    moved = transfer(hp, nets, variables, identity, driving, driving)
    layout = layouts.of_count(moved.shape[-2])

    def draw(points):
        points = (lm.normalise(points, *lm.box(source.landmarks)) * 0.4 + 0.5) * side
        return lm.raster(points, layout, side)[..., None] * 2 - 1

    shown = lm.denormalise(
        lm.normalise(driving.landmarks, *lm.box(driving.landmarks)), *identity['box']
    )
    return {'source': draw(source.landmarks), 'driving': draw(shown), 'result': draw(moved)}
