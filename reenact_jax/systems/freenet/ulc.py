"""ULC, FReeNet's unified landmark converter psi (section 3.1): its losses, and a face converted.

    l^_T,n = l_T,r + psi_3(psi_1(l_T,r), psi_2(l_S,n))                                  (eq. 1)

Units. `box`: every set is in units of its own square bounding box, which spans [-1, 1], as LD-Net's
(ours); what is converted at the reference's pose stays in the units of the reference's box, so that
it keeps place and size. `pixels`: those of a crop of 512, as the official code's.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from reenact_jax.data.tracks import Batch
from reenact_jax.geometry import landmarks as lm
from reenact_jax.systems import losses

PIXELS = 512  # side of the official code's crops


def terms(hp, apply, batch: Batch):
    """Compute eqs. 2 to 6 on rows T; the partner S of each shows the same expression in frame 0.

    Frame 1 of T is D_S's real partner. Where the pose is the driver's, partners share the pose as
    well, and the reference, T at rest, is of frame 1: at another pose.
    """
    frame = 0 if hp.pose == 'reference' else 1
    truth, reference = batch.landmarks[:, 0], batch.reference[:, frame]
    driving, their_reference = losses.partner(truth), losses.partner(reference)
    another = own(hp, batch.landmarks[:, 1])
    converted, truth = convert(hp, apply, reference, driving), fixed(hp, truth, reference)
    # Eq. 4 prints l_S,n as the reference; the text below it has l_S,r, and so has this file.
    back = _psi(apply, own(hp, their_reference), _again(hp, converted))
    l1 = losses.l1(converted, truth)
    cycle = losses.l1(back, fixed(hp, driving, their_reference))
    value, values = hp.lambda_l1 * l1 + hp.lambda_cycle * cycle, {}
    metrics = {'l1': l1, 'cycle': cycle}
    if hp.lambda_identity:
        same = convert(hp, apply, reference, batch.landmarks[:, 0])
        metrics['identity'] = losses.l1(same, truth)
        value += hp.lambda_identity * metrics['identity']
    if hp.lambda_d:
        both = losses.together(truth, converted)
        judged = {
            'D_TF': apply('D_TF', both),  # eq. 5
            'D_S': apply('D_S', losses.together(another, another), both),  # eq. 6
        }
        for network, logits in judged.items():
            real, fake = ([one] for one in losses.apart(logits))
            values[network] = losses.gan_discriminator(real, fake, hp.ulc_gan)
            metrics[f'gan/{network}'] = losses.gan_generator(fake, hp.ulc_gan)
            value += hp.lambda_d * metrics[f'gan/{network}']
    return {'psi': value} | values, metrics  # eq. 2


def convert(
    hp, apply, reference: Float[Array, 'b n 2'], driving: Float[Array, 'b n 2']
) -> Float[Array, 'b n 2']:
    """Apply psi to two landmark sets in pixels; the result is in the units of `fixed`."""
    return _psi(apply, own(hp, reference), own(hp, driving))


def in_pixels(
    hp, made: Float[Array, 'b n 2'], reference: Float[Array, 'b n 2']
) -> Float[Array, 'b n 2']:
    """Convert the result of `convert` to pixels: where the reference's face is."""
    if hp.units == 'pixels':
        return made * (hp.crop_side / PIXELS)
    if hp.pose == 'driving':
        made = _again(hp, made)
    return lm.denormalise(made, *lm.box(reference))


def own(hp, points: Float[Array, 'b n 2']) -> Float[Array, 'b n 2']:
    """Convert a landmark set in pixels to what the networks take."""
    if hp.units == 'pixels':
        return points * (PIXELS / hp.crop_side)
    return lm.normalise(points, *lm.box(points))


def fixed(
    hp, points: Float[Array, 'b n 2'], reference: Float[Array, 'b n 2']
) -> Float[Array, 'b n 2']:
    """Convert a landmark set to the units in which it is the ground truth for `reference`."""
    if hp.units == 'pixels' or hp.pose == 'driving':
        return own(hp, points)
    return lm.normalise(points, *lm.box(reference))


def _psi(apply, reference: Float[Array, 'b n 2'], driving: Float[Array, 'b n 2']):
    """Apply eq. 1."""
    shift = apply('psi_3', apply('psi_1', reference), apply('psi_2', driving))
    return reference + shift.reshape(reference.shape)


def _again(hp, made: Float[Array, 'b n 2']) -> Float[Array, 'b n 2']:
    """Convert a converted set to an input."""
    return made if hp.units == 'pixels' else jnp.asarray(lm.normalise(made, *lm.box(made)))
