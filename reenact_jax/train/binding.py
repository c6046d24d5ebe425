"""`apply(network, ...)`: how the losses of a stage call networks, without seeing their variables.

Precision. Parameters, running statistics, losses and gradients are always float32. With `bfloat16`
a call that is given an image or a feature map (an array of four axes or more) runs in bfloat16: its
parameters, these arrays and rows of features (three axes, the last one longer than a point's) are
cast on the way in, every result is cast back to float32. Points, codes and labels stay as they are,
and a call on such arrays alone runs in float32, because bfloat16 resolves no better than one pixel
at 256. A network with normalisation computes its statistics in float32 (flax's do) and returns the
dtype it was given. Frozen networks among a system's constants (VGG) run in the dtype of their
kernels, which `reduced` casts.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import PRNGKeyArray

MAP_AXES = 4  # images and feature maps: [b, h, w, c] or more
POINT = 3  # the most numbers that a point has: x, y, depth


class Binding:
    """Networks by name with their variables bound; one instance serves one forward pass.

    A moving network called with `train=True` updates its collections (running statistics,
    spectral vectors); its next call sees them, and `collections` holds the last ones. A frozen
    network is called with train=False whatever the losses ask for, and changes nothing.
    """

    def __init__(
        self,
        nets: Mapping[str, nn.Module],
        params: Mapping[str, dict],
        variables: Mapping[str, dict],
        key: PRNGKeyArray,
        dtype: str = 'float32',
    ):
        """Bind variables to networks.

        Args:
          nets: modules by network name.
          params: parameters of the moving networks, those that are differentiated.
          variables: {network: {'params': ..., other collections}} of all networks.
          key: call number n draws from fold_in(key, n).
          dtype: 'float32' or 'bfloat16'.
        """
        self._nets, self._params, self._variables = nets, params, variables
        self._key, self._calls, self._dtype = key, 0, jnp.dtype(dtype)
        self.collections = {network: collections(variables[network]) for network in params}

    def __call__(self, network: str, *args, method=None, train: bool = True, **kwargs):
        """Call a network, or one of its methods, on `args`. Every module takes the keyword `train`.

        Raises:
          KeyError: there is no such network.
        """
        if network not in self._nets:
            raise KeyError(f'no network {network!r}; there are {", ".join(self._nets)}')
        key = jax.random.fold_in(self._key, self._calls)
        self._calls += 1
        train = train and network in self._params
        variables = self._bound(network)
        if self._runs_reduced(args, kwargs):
            variables |= {'params': _cast(variables['params'], self._dtype)}
            args, kwargs = _cast((args, kwargs), self._dtype, _is_features)
        mutable = [name for name in variables if name != 'params'] if train else []
        result, updated = self._nets[network].apply(
            variables,
            *args,
            method=method,
            train=train,
            mutable=mutable,
            rngs={'dropout': key},
            **kwargs,
        )
        if train:
            self._keep(network, updated)
        return _cast(result, jnp.dtype('float32'))

    def _bound(self, network: str) -> dict:
        """Return the variables that the next call of the network sees."""
        if network not in self._params:
            return {'params': {}, **self._variables[network]}
        return {'params': self._params[network], **self.collections[network]}

    def _runs_reduced(self, args, kwargs) -> bool:
        """Tell whether a call on these arguments runs in the reduced dtype."""
        leaves = jax.tree.leaves((args, kwargs))
        has_map = any(_is_float(leaf) and leaf.ndim >= MAP_AXES for leaf in leaves)
        return self._dtype != jnp.float32 and has_map

    def _keep(self, network: str, updated: Mapping) -> None:
        """Keep the collections that a call updated, in the dtype they are stored in."""
        old = self.collections[network]
        self.collections[network] = {
            name: jax.tree.map(
                lambda before, after: jnp.asarray(after, before.dtype), old[name], updated[name]
            )
            if name in updated
            else old[name]
            for name in old
        }


def collections(variables: Mapping) -> dict:
    """Return a network's variables without its parameters."""
    return {name: value for name, value in variables.items() if name != 'params'}


def _is_float(leaf) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jnp.floating)


def reduced(constants, dtype: str):
    """Cast a system's constants for a run in `dtype`: kernels of convolutions, nothing else.

    Tables of coordinates (landmark bases) have fewer axes and keep float32.
    """
    return _cast(constants, jnp.dtype(dtype), lambda leaf: leaf.ndim >= MAP_AXES)


def _is_features(leaf) -> bool:
    """Tell whether an argument beside a map is computed with in the map's dtype."""
    return leaf.ndim >= MAP_AXES or (leaf.ndim == MAP_AXES - 1 and leaf.shape[-1] > POINT)


def _cast(tree, dtype, which=lambda leaf: True):
    """Cast the floating-point arrays for which `which` holds to `dtype`."""
    return jax.tree.map(
        lambda leaf: leaf.astype(dtype) if _is_float(leaf) and which(leaf) else leaf, tree
    )
