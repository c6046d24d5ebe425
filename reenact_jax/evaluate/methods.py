"""The methods compared: the model with every landmark transfer, and what needs no training.

- the copy of the source, which ignores the driver: what does not beat it has learnt no motion;
- the driver's own frame, where it shows another person: no identity, all of the motion;
- a landmark warp of the source with the very landmarks that the model gets;
- the same with the smooth flow that a generator's prior starts from, untrained;
- the model with the bundle's own transfer, with `none` (the driver's landmarks, carried to the
  source's box) and with `additive` (the source's + the driver's - the driver's first ones); in
  cross-reenactment also as people use it, with relative motion (relative.py).

A model whose motion is not landmarks has its own transfer alone. Its result is scored as an answer
to the landmarks of `none`, and stays where the model puts the face. In cross-reenactment it gets
the driver's own motion (absolute, as AAN's paper measures the first order motion model), and beside
that relative motion, an answer to the landmarks of `additive`.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from reenact_jax.bundle import LANDMARKS, NO_TRANSFER, Bundle
from reenact_jax.evaluate import metrics
from reenact_jax.evaluate.baselines import COPY, PRIOR, WARP, copies, landmark_warp, prior_warp
from reenact_jax.evaluate.cases import ABSOLUTE, AT_TRUTH, ROWS, Case, in_rows
from reenact_jax.geometry import landmarks as lm
from reenact_jax.reenact import relative

ADDITIVE, DRIVER = 'additive', "the driver's frame"
RELATIVE = 'relative'


def results(
    bundle: Bundle, case: Case
) -> Iterator[tuple[str, Float[np.ndarray, 'g h w 3'], Float[np.ndarray, 'g n 2'] | None]]:
    """Yield the name of a method, its images in [-1, 1], and the landmarks they were drawn with."""
    yield COPY, copies(case.source['image'][0], len(case.rows)), None
    if case.kind not in ABSOLUTE:
        yield DRIVER, case.driving['image'], None
    generator = bundle.card['generator']['system']
    asked = driven(bundle, case)
    for name, points in asked.items():
        if name != ADDITIVE:
            image = case.source['image'][0], case.source['landmarks'][0]
            yield f'{name} + {WARP}', landmark_warp(*image, points), points
            yield f'{name} + {PRIOR}', prior_warp(*image, points), points
        if bundle.motion == LANDMARKS:
            yield f'{name} + {generator}', rendered(bundle, case.source, points), points
    if bundle.motion != LANDMARKS:
        image = rendered(bundle, case.source, motion(bundle, case))
        yield f'{bundle.transfer_name} + {generator}', image, asked[NO_TRANSFER]
        if case.kind == 'cross':
            image = rendered(bundle, case.source, motion(bundle, case, since_first=True))
            yield f'{bundle.transfer_name}, {RELATIVE} + {generator}', image, _additive(case)
    elif case.kind == 'cross':
        points = moved(bundle, case)
        name = f'{bundle.transfer_name}, {RELATIVE} + {generator}'
        yield name, rendered(bundle, case.source, points), points[..., :2]


def driven(bundle: Bundle, case: Case) -> dict[str, Float[np.ndarray, 'g n 2']]:
    """Return name of a rule -> landmarks, where the case's placement has the face."""
    if bundle.motion != LANDMARKS:
        box = lm.box(case.source['landmarks'])
        carried = lm.carry(case.driving['landmarks'], box, case.first['landmarks'])
        return {NO_TRANSFER: _placed(np.asarray(carried), case)}
    landmarks = {}
    for name in dict.fromkeys([bundle.transfer_name, NO_TRANSFER]):
        model = bundle.using(name)
        identity = model.identify(case.source)
        driving = {key: case.driving[key] for key in model.driven_by}
        landmarks[name] = in_rows(
            lambda rows, m=model, i=identity: m.transfer(i, rows, case.first), driving
        )
    landmarks[ADDITIVE] = _additive(case)
    return {name: _placed(points, case) for name, points in landmarks.items()}


def motion(bundle: Bundle, case: Case, since_first: bool = False) -> Float[np.ndarray, 'g n d']:
    """Return the motion by the bundle's own transfer; landmarks are placed as in `driven`.

    Args:
      bundle: the model.
      case: a case.
      since_first: in cross-reenactment, whether the source moves as the driver has since its first
        frame (relative) or gets the driver's own motion (absolute).
    """
    if bundle.motion == LANDMARKS:
        return moved(bundle, case) if since_first else driven(bundle, case)[bundle.transfer_name]
    identity = bundle.identify(case.source)
    driving = {key: case.driving[key] for key in bundle.driven_by}
    absolute = case.kind == 'cross' and not since_first
    first = case.source if absolute else case.first
    return in_rows(lambda rows: bundle.transfer(identity, rows, first), driving)


def stand_in(bundle: Bundle) -> str:
    """Name the method whose landmarks are asked for where a method takes none."""
    name = bundle.transfer_name if bundle.motion == LANDMARKS else NO_TRANSFER
    return f'{name} + {WARP}'


def rendered(bundle: Bundle, source: dict, points) -> Float[np.ndarray, 't h w 3']:
    """Draw the source with landmarks [t, n, 2 or 3], or a motion of the bundle's kind."""
    appearance = bundle.encode(source)
    return np.clip(in_rows(lambda rows: bundle.render(appearance, rows), points), -1, 1)


def moved(bundle: Bundle, case: Case) -> Float[np.ndarray, 'g n 3']:
    """Return the source's landmarks, moved as the driver has since its first frame."""
    identity = bundle.identify(case.source)
    begun = relative.start(bundle, identity, case.source, case.first, ROWS)

    def step(rows):
        there = relative.transferred(bundle, begun, identity, case.source, rows)
        return np.float32(relative.move(begun, there, rows))

    return in_rows(step, {name: x for name, x in case.driving.items() if name != 'image'})


def _additive(case: Case) -> Float[np.ndarray, 'g n 2']:
    """Add the driver's motion since its first frame to the source's landmarks, in boxes' units."""
    source, first = case.source['landmarks'], case.first['landmarks']
    scale = np.asarray(lm.box(source)[1] / lm.box(first)[1])
    return source + (case.driving['landmarks'] - first) * scale[:, None, None]


def _placed(points, case: Case):
    """Put faces where the case's placement has them, for every method alike.

    Where a head is put is a rule of its own, which is not to be measured. gt_cross: into the ground
    truth's bounding box. lsim: the middle between the eyes where the ground truth has it, as in
    FACEGAN's crops. With the placement `transfer` that rule is measured too: every face stays where
    its transfer puts it.
    """
    if case.truth is None or case.placement != AT_TRUTH:
        return points
    truth = case.truth['landmarks']
    if case.kind == 'gt_cross':
        return np.asarray(metrics.same_box(points, truth))
    if case.kind == 'lsim':
        return np.asarray(points - lm.eye_middle(points) + lm.eye_middle(truth))
    return points
