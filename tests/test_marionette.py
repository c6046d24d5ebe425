"""MarioNETte's transformer: rigid fits, fitted bases, what M learns, what transfer keeps."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import quick
from fakes import fake_track

from reenact_jax.common.errors import UserError
from reenact_jax.data import shards
from reenact_jax.data.tracks import Batch, DataInfo, Face
from reenact_jax.data_prep import landmark_bases
from reenact_jax.geometry import landmarks as lm
from reenact_jax.geometry import layouts, rigid
from reenact_jax.nets import frozen_apply
from reenact_jax.systems import marionette
from reenact_jax.train import step

LAYOUT = layouts.layout('68')
PEOPLE, FRAMES = 6, 40
HP = marionette.Hparams(
    components=(1, 2, 1, 2), layers=1, width=32, examples=16, frames=2, steps=300, rate=3e-3,
    lambda_exp=1.0,
)  # fmt: skip


def turned(shapes, rng):
    """The shapes at random sizes, places and rotations of up to 0.6 radians an axis."""
    made = []
    for shape in shapes:
        x, y, z = rng.uniform(-0.6, 0.6, 3)
        rx = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
        ry = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
        rz = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
        place = rng.uniform(80, 170, 3)
        made.append(shape @ (rx @ ry @ rz).T * rng.uniform(30, 60) + place)
    return np.float32(made)


@pytest.fixture(scope='module')
def world():
    """People (a mean face + their own) x motions (the same basis for all), rigidly moved."""
    rng = np.random.default_rng(0)
    mean = rng.normal(size=(68, 3))
    own = 0.2 * rng.normal(size=(PEOPLE, 68, 3))
    basis = np.zeros((6, 68, 3))
    row = 0
    for group, count in zip(marionette.GROUPS, HP.components, strict=True):
        points = list(marionette.group_points(LAYOUT, group))
        basis[row : row + count, points] = 0.3 * rng.normal(size=(count, len(points), 3))
        row += count
    alpha = rng.normal(size=(PEOPLE, FRAMES, 6))
    still = mean + own[:, None] + np.einsum('pfm,mnd->pfnd', alpha, basis)
    moved = turned(still.reshape(-1, 68, 3), rng).reshape(still.shape)
    return {
        'still': still,
        'moved': moved,
        'mean': mean,
        'own': own,
        'basis': basis,
        'alpha': alpha,
    }


@pytest.fixture(scope='module')
def file(world, tmp_path_factory):
    identity = np.repeat(np.arange(PEOPLE), FRAMES)
    shapes = landmark_bases.align(world['moved'].reshape(-1, 68, 3), 0)
    arrays, groups, explained = landmark_bases.fit(shapes, identity, LAYOUT, 4)
    assert min(explained.values()) > 0.95
    target = tmp_path_factory.mktemp('bases') / 'bases.npz'
    target.write_bytes(marionette.save(arrays, groups))
    return str(target)


def test_fit_finds_the_similarity():
    rng = np.random.default_rng(1)
    shape = np.float32(rng.normal(size=(68, 3)))
    shape -= shape.mean(0)
    points = turned([shape, shape, shape], rng)
    placement = rigid.fit(points, shape)
    back = rigid.remove(points, placement)
    np.testing.assert_allclose(back, np.broadcast_to(shape, back.shape), atol=1e-4)
    np.testing.assert_allclose(rigid.restore(back, placement), points, rtol=1e-4)
    noisy = points + np.float32(rng.normal(size=points.shape))
    found = np.asarray(rigid.fit(noisy, shape).rotation, np.float64)
    for one, rotation in zip(noisy, found, strict=True):
        u, _, v = np.linalg.svd((one - one.mean(0)).T @ shape)  # Kabsch: from the shape to points
        np.testing.assert_allclose(rotation, u @ v, atol=1e-5)


def test_bases_are_the_motions(world, file):
    """Each group's components span what was put there, and nothing of other groups' points."""
    net = marionette.networks(HP, DataInfo(PEOPLE, 6))['B']
    arrays = marionette.load(dataclasses.replace(HP, bases=file), net)
    assert arrays['basis'].shape == (6, 68, 3) and arrays['person'].shape == (PEOPLE, 68, 3)
    row = 0
    for group, count in zip(marionette.GROUPS, HP.components, strict=True):
        points = list(marionette.group_points(LAYOUT, group))
        others = np.setdiff1d(np.arange(68), points)
        assert np.abs(arrays['basis'][row : row + count, others]).max() == 0
        row += count
    assert sorted(p for g in marionette.GROUPS for p in marionette.group_points(LAYOUT, g)) == list(
        range(68)
    )


def trained(world, file):
    hp, data = dataclasses.replace(HP, bases=file), DataInfo(PEOPLE, 6)
    nets = marionette.networks(hp, data)
    moved = jnp.asarray(world['moved'])

    def batch(i):
        rng = np.random.default_rng(i)
        people = np.concatenate([rng.permutation(PEOPLE)[:2] for _ in range(4)])
        points = moved[people[:, None], rng.integers(0, FRAMES, (8, 2))]
        return Batch(landmarks=points[..., :2], landmarks3d=points, identity=jnp.asarray(people))

    variables = marionette.init(hp, nets, jax.random.key(0), batch(0))
    (stage,) = marionette.stages(hp, data)
    run, state = quick.jit(step.train_step(stage, nets)), step.start(stage, variables)
    for i in range(hp.steps):
        state, metrics = run(state, {}, batch(i))
    before, after = variables['B']['bases'], state.variables['B']['bases']
    assert all((before[name] == after[name]).all() for name in before)  # they never move
    return hp, nets, state.variables | state.ema, metrics


def test_transfer_keeps_identity_and_takes_expression(world, file):
    """Against the exact truth: nearer than the driver as it is, on people seen in training."""
    hp, nets, variables, metrics = trained(world, file)
    assert float(metrics['unexplained']) < 0.35
    moved = jnp.asarray(world['moved'])
    source, driver = moved[0, :8], moved[1, 8:16]
    faces = [Face(landmarks=p[..., :2], landmarks3d=p) for p in (source, driver)]
    run = jax.jit(lambda one, two: marionette.transfer(hp, nets, variables, one, two, two))
    identity = jax.jit(lambda face: marionette.identify(hp, nets, variables, face))(faces[0])
    made = run(identity, faces[1])
    # The truth: person 0 with the driver's coefficients, at the driver's rotation.
    motion = np.einsum('fm,mnd->fnd', world['alpha'][1, 8:16], world['basis'])
    still = world['mean'] + world['own'][0] + motion

    @jax.jit
    def turned(still, driver):
        apply = frozen_apply(nets, variables)
        (aligned, _), (_, placement) = apply('B', still), apply('B', driver)
        return rigid.restore(apply('B', aligned, method='whole'), placement)[..., :2]

    truth = turned(jnp.asarray(still, jnp.float32), driver)

    def error(points):
        unit = [lm.normalise(p, *lm.box(p)) for p in (points, truth)]
        return float(jnp.linalg.norm(unit[0] - unit[1], axis=-1).mean())

    assert error(made) < 0.5 * error(driver[..., :2])
    # The box is the source's: a still driver leaves the face where it was.
    np.testing.assert_allclose(lm.box(made)[0], identity['box'][0], atol=1e-3)


def test_the_gain_is_of_use_alone(world, file):
    """Training does not see lambda_exp; in use the driver's expression counts so much more."""
    hp, data = dataclasses.replace(HP, bases=file), DataInfo(PEOPLE, 6)
    nets, points = marionette.networks(hp, data), jnp.asarray(world['moved'][:2, :2], jnp.float32)
    batch = Batch(landmarks=points[..., :2], landmarks3d=points, identity=jnp.arange(2))
    variables = marionette.init(hp, nets, jax.random.key(0), batch)
    apply = frozen_apply(nets, variables)
    gained = dataclasses.replace(hp, lambda_exp=3.0)
    terms = [
        float(marionette.terms(one, apply, batch)[0]['M'])
        for one in (hp, gained, dataclasses.replace(gained, gain_in_training=True))
    ]
    assert terms[0] == terms[1] != terms[2]
    face = Face(landmarks=points[0, :1, :, :2], landmarks3d=points[0, :1])
    less_mean, _ = apply('B', face.landmarks3d)
    parts = [less_mean - marionette.identify(one, nets, variables, face)['shape']
             for one in (hp, gained)]  # fmt: skip
    np.testing.assert_allclose(parts[1], 3 * parts[0], atol=1e-5)


def test_command_and_errors(world, tmp_path, capsys):
    tracks = []
    for person in range(2):
        points = world['moved'][person, :5]
        tracks.append(
            fake_track(
                frames=5, track_id=f't{person}', identity=person, landmarks_68=np.float32(points)
            )
        )
    shards.write(tmp_path / 'data', 'train', tracks)
    out = tmp_path / 'bases.npz'
    arguments = [str(tmp_path / 'data'), '--out', str(out), '--components', '2']
    assert landmark_bases.main(arguments) == 0
    assert json.loads(capsys.readouterr().out)['people'] == 2
    hp = dataclasses.replace(HP, bases=str(out))
    net = marionette.networks(hp, DataInfo(3, 2))['B']
    with pytest.raises(UserError, match='of 2 people and 68 points'):
        marionette.load(hp, net)
    with pytest.raises(UserError, match='9 of contour'):
        marionette.load(dataclasses.replace(hp, components=(9, 2, 1, 2)), net)
    out.write_bytes(out.read_bytes()[:100])
    with pytest.raises(UserError, match='not a file of bases'):
        marionette.load(hp, net)
    with pytest.raises(UserError, match='no file given'):
        marionette.constants(HP)
    level = np.float32([1, 1, 0])
    flat = [dataclasses.replace(one, landmarks_68=one.landmarks_68 * level) for one in tracks]
    shards.write(tmp_path / 'flat', 'train', flat)
    with pytest.raises(UserError, match='have no depth'):
        landmark_bases.main([str(tmp_path / 'flat'), '--out', str(out)])
