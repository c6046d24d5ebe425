"""Annotations count: the tests' calls of the package are checked."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from reenact_jax.data.tracks import Batch, Face
from reenact_jax.geometry import images
from reenact_jax.nets.blocks import Norm

if jaxtyping.config.jaxtyping_disable:
    pytest.skip('JAXTYPING_DISABLE is set', allow_module_level=True)


@pytest.mark.parametrize(
    'wrong',
    [
        lambda: images.warp(jnp.zeros((2, 8, 8, 3)), jnp.zeros((2, 4, 8, 2))),  # other sides
        lambda: images.to_float(np.zeros((8, 8, 3))),  # no uint8
        lambda: images.resize(jnp.zeros((8, 8, 3)), 4.5),
        lambda: Norm('instance').apply({}, jnp.zeros((8, 8, 3))),  # a module's call
        lambda: Face(image=jnp.zeros((2, 8, 8, 3)), landmarks=jnp.zeros((1, 68, 2))),  # a record
    ],
)
def test_a_wrong_shape_or_type_is_refused(wrong):
    with pytest.raises(jaxtyping.TypeCheckError):
        wrong()


def test_records_may_carry_other_things_than_arrays():
    shapes = jax.eval_shape(lambda: Batch(landmarks=jnp.zeros((2, 1, 68, 2))))
    assert isinstance(shapes.landmarks, jax.ShapeDtypeStruct)
