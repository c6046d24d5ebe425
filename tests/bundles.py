"""Small untrained models for the tests of export and reenact."""

import dataclasses
import types

import jax
import numpy as np

from reenact_jax.data.tracks import Batch, DataInfo
from reenact_jax.export.trained import Trained
from reenact_jax.geometry import keypoints, layouts
from reenact_jax.geometry import landmarks as lm
from reenact_jax.systems import aan, facegan, fomm, freenet, marionette, pix2pix
from reenact_jax.systems.interface import Motion
from reenact_jax.systems.ldnet_fdgan import fdgan, ldnet

SIZE, POINTS = 32, 68
DATA = DataInfo(identities=3, examples=6)


def random_face(seed: int, frames: int) -> dict:
    """Draw images [frames, SIZE, SIZE, 3] and landmarks scattered over the crop's middle."""
    rng = np.random.default_rng(seed)
    image = rng.uniform(-1, 1, (frames, SIZE, SIZE, 3)).astype(np.float32)
    points = rng.uniform(8, 24, (frames, POINTS, 3)).astype(np.float32)
    aus = rng.uniform(0, 1, (frames, 20)).astype(np.float32)
    units = {'aus': aus, 'aus_valid': np.ones_like(aus)}
    return {'image': image, 'landmarks': points[..., :2], 'landmarks3d': points} | units


def landmark_model(points: str = '68') -> Trained:
    """Make a random LD-Net."""
    hp = ldnet.Hparams(layers=1, width=16, pose_code=4, identity_code=8)
    record = {'config': {'hparams': {'layers': 1}}, 'step': 0}
    return _trained('ldnet', ldnet, hp, points, record)


def image_model(points: str = '68') -> Trained:
    """Make a random AAN."""
    hp = aan.Hparams(
        extractor=(8, 8, 8),
        fusion=(8, 8),
        flow=(8, 8),
        local=(8, 8),
        part_size=64,
        residuals=1,
        discriminator=4,
        features='random',
        random_width=4,
        statistics='instance',
        norm='instance',
    )
    return _trained('aan', aan, hp, points, {'config': {'hparams': {}}, 'step': 0})


def layered_model(points: str = '68') -> Trained:
    """Make a random AAN that warps and paints, with every option that is ours."""
    hp = dataclasses.replace(
        image_model(points).hp,
        prior=True,
        prior_grid=48,
        mask=True,
        part_masks=True,
        part_size=16,
        inner_mouth=True,
        mouth_palette=True,
        mouth_form=True,
        occlusion=True,
        unseen=True,
        flow_bound=0.1,
        prior_reach=True,
        upscale='resize',
    )
    return _trained('aan', aan, hp, points, {'config': {'hparams': {}}, 'step': 0})


def dictionary_model(points: str = '68') -> Trained:
    """Make a random FD-GAN."""
    hp = fdgan.Hparams(widths=(4, 6), rows=(8, 6), tag=4, discriminator=(4,))
    return _trained('fdgan', fdgan, hp, points, {'config': {'hparams': {}}, 'step': 0})


def pix2pix_model(variant: str, points: str = '68') -> Trained:
    """Make a random Pix2Pix or Pix2PixHD."""
    hp = pix2pix.Hparams(variant=variant, width=4, downs=1, blocks=1, local_blocks=1)
    return _trained('pix2pix', pix2pix, hp, points, {'config': {'hparams': {}}, 'step': 0})


def freenet_model(points: str = '68') -> Trained:
    """Make a random FReeNet: transfer and generator."""
    hp = freenet.Hparams(ulc_width=8, width=4, blocks=3, discriminator=2, features='random')
    return _trained('freenet', freenet, hp, points, {'config': {'hparams': {}}, 'step': 0})


def units_model(points: str = '68') -> Trained:
    """Make a random FACEGAN: transfer and generator."""
    hp = facegan.Hparams(lt_width=8, la_width=4, width=4, downs=2, blocks=1, discriminator=2)
    return _trained('facegan', facegan, hp, points, {'config': {'hparams': {}}, 'step': 0})


GENERATORS = {
    'aan': image_model,
    'aan_layers': layered_model,
    'fdgan': dictionary_model,
    'pix2pix': lambda points='68': pix2pix_model('pix2pix', points),
    'freenet': freenet_model,
    'facegan': units_model,
    'pix2pixhd': lambda points='68': pix2pix_model('pix2pixhd', points),
}


def basis_model(points: str = '68') -> Trained:
    """Make a random landmark transformer of MarioNETte."""
    hp = marionette.Hparams(layers=1, width=16, components=(2, 2, 2, 2))
    return _trained('marionette', marionette, hp, points, {'config': {'hparams': {}}, 'step': 0})


TRANSFERS = {
    'ldnet': landmark_model,
    'marionette': basis_model,
    'freenet': freenet_model,
    'facegan': units_model,
}


def first_order_model(points: str = '68') -> Trained:
    """Make a random first order motion model: transfer and generator, moved by keypoints."""
    hp = fomm.Hparams(
        keypoints=3, kp_width=4, kp_depth=2, motion_width=4, motion_depth=2, width=4, blocks=1,
        features='random', scales=(1.0,),
    )  # fmt: skip
    return _trained('fomm', fomm, hp, points, {'config': {'hparams': {}}, 'step': 0})


BY_KEYPOINTS = {'fomm': first_order_model}  # a transfer of such a kind goes with its own generator


def _trained(name, module, hp, points, record) -> Trained:
    nets = module.networks(hp, DATA)
    face = random_face(0, 2)
    batch = Batch(
        image=face['image'][None],
        landmarks=face['landmarks'][None],
        landmarks3d=face['landmarks3d'][None],
    )
    shapes = jax.eval_shape(lambda rng: module.init(hp, nets, rng, batch), jax.random.key(0))
    rng = np.random.default_rng(0)
    variables = jax.tree_util.tree_map_with_path(lambda path, x: _random(rng, path, x), shapes)
    return Trained(name, module, hp, nets, variables, points, SIZE, record)


def _random(rng, path, shape):
    """Draw small numbers; positive ones for a variance or a spectral norm's vector."""
    low = -0.2 if path[1].key == 'params' else 0
    return rng.uniform(low, 0.2, shape.shape).astype(shape.dtype)


def drawing_model(points: str = '68') -> Trained:
    """Make a generator whose result is known: the landmarks as lines, tinted as the source is.

    It stands in for a trained one where the path of the frames is tested, not the image.
    """
    module = types.SimpleNamespace(
        __doc__='A drawing.', encode=_tint, render=_draw, TAKES_BACKGROUND=True
    )
    variables = {'letter': {'params': {'gain': np.ones(1, np.float32)}}}
    return Trained('drawing', module, None, {}, variables, points, SIZE, {})


def keypoint_model(points: str = '68') -> Trained:
    """Make a system moved by keypoints whose result is known: colours are places, and the reverse.

    Keypoint i of an image has its mean colours c as place (c_0, c_1) / (i + 1) and as the matrix
    diag(2 + c_2, 1); the image drawn with keypoints has the colour (x, y, J_xx - 2) of the first.
    """
    module = types.SimpleNamespace(
        __doc__='Colours.', DRIVEN_BY=('image',), motion=lambda hp: Motion('keypoints', (3, 6)),
        identify=_own_colour, transfer=_colours_moved, encode=_tint, render=_coloured,
    )  # fmt: skip
    variables = {'letter': {'params': {'gain': np.ones(1, np.float32)}}}
    return Trained('colours', module, None, {}, variables, points, SIZE, {})


def _colours(face):
    colour = face.image.mean((1, 2))
    places = colour[:, None, :2] / jax.numpy.arange(1.0, 4)[None, :, None]
    places = places + jax.numpy.array([[[0, 0], [0.1, 0], [0, 0.2]]])
    first = jax.numpy.stack([2 + colour[:, 2], 0 * colour[:, 2]], -1)
    matrix = jax.numpy.stack(
        [first, jax.numpy.broadcast_to(jax.numpy.array([[0.0, 1]]), first.shape)], -2
    )
    return keypoints.joined(places, jax.numpy.repeat(matrix[:, None], 3, 1))


def _own_colour(hp, nets, variables, source):
    return {'keypoints': _colours(source)}


def _colours_moved(hp, nets, variables, identity, driving, first):
    return keypoints.moved(identity['keypoints'], _colours(first), _colours(driving))


def _coloured(hp, nets, variables, appearance, motion):
    colour = jax.numpy.concatenate([motion[:, 0, :2], motion[:, 0, 2:3] - 2], -1)
    colour = colour * variables['letter']['params']['gain'][None]
    return jax.numpy.broadcast_to(colour[:, None, None], (motion.shape[0], SIZE, SIZE, 3))


def shifting_model(points: str = '68') -> Trained:
    """Make a transfer whose result is known: AU12 moves the source right, R_y down, by pixels."""
    module = types.SimpleNamespace(
        __doc__='A shift.', DRIVEN_BY=('landmarks', 'aus', 'aus_valid'),
        identify=_points, transfer=_shift,
    )  # fmt: skip
    variables = {'letter': {'params': {'gain': np.full(1, 8, np.float32)}}}
    return Trained('shift', module, None, {}, variables, points, SIZE, {})


def _points(hp, nets, variables, source):
    return {'points': source.landmarks}


def _shift(hp, nets, variables, identity, driving, first):
    shift = driving.aus[:, jax.numpy.array([8, 18])] * variables['letter']['params']['gain'][None]
    return identity['points'] + shift[:, None]


def _tint(hp, nets, variables, source, background=None):
    source = source if background is None else dataclasses.replace(source, image=background)
    return {'tint': source.image.mean((1, 2), keepdims=True)}


def _draw(hp, nets, variables, appearance, landmarks):
    lines = lm.raster(landmarks, layouts.layout('68'), SIZE)[..., None]
    gain = variables['letter']['params']['gain'][None, None, None]
    return (2 * lines - 1) * gain * 0.5 + appearance['tint'] * 0.5
