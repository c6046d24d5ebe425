"""Parameters of a network as one vector: a program of a few large operations instead of many.

An optimiser, the averages and the guard against NaN do the same with every number. A network of
hundreds of leaves needs hundreds of copies of these operations, or one of each for a vector.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


class Layout(NamedTuple):
    """How the leaves of a tree lie in a vector."""

    tree: Any  # its structure
    shapes: tuple[tuple[int, ...], ...]  # of the leaves, in the tree's order

    def pack(self, tree: Any) -> Float[Array, ' n']:
        """Return the leaves one behind the other.

        The barrier keeps the compiler from copying a long choice between leaves into what follows.
        """
        leaves = [leaf.reshape(-1) for leaf in self.tree.flatten_up_to(tree)]
        return jax.lax.optimization_barrier(jnp.concatenate(leaves))

    def unpack(self, vector: Float[Array, ' n']) -> Any:
        """Return the tree of a vector."""
        ends = np.cumsum([np.prod(shape, dtype=int) for shape in self.shapes])
        parts = jnp.split(vector, ends[:-1])
        leaves = [part.reshape(shape) for part, shape in zip(parts, self.shapes, strict=True)]
        return jax.tree.unflatten(self.tree, leaves)


def layouts(networks: Mapping[str, Any]) -> dict[str, Layout]:
    """Return the layouts of networks' parameters, of those that are all float32.

    Args:
      networks: network -> its parameters.
    """
    found = {}
    for network, params in networks.items():
        leaves, tree = jax.tree.flatten(params)
        if leaves and all(leaf.dtype == jnp.float32 for leaf in leaves):
            found[network] = Layout(tree, tuple(leaf.shape for leaf in leaves))
    return found


def pack(given: Mapping[str, Layout], networks: Mapping[str, Any]) -> dict[str, Any]:
    """Turn the parameters of networks that have a layout into vectors.

    Args:
      given: network -> layout.
      networks: network -> parameters, or what has their structure.
    """
    return {n: given[n].pack(tree) if n in given else tree for n, tree in networks.items()}


def unpack(given: Mapping[str, Layout], networks: Mapping[str, Any]) -> dict[str, Any]:
    """Undo `pack`."""
    return {n: given[n].unpack(tree) if n in given else tree for n, tree in networks.items()}


def within(change: Callable, names: Collection[str], state: Any) -> Any:
    """Change what an optimiser's state holds of parameters: dicts whose keys are these networks."""

    def is_set(node: Any) -> bool:
        return isinstance(node, dict) and node.keys() == set(names)

    return jax.tree.map(lambda x: change(x) if is_set(x) else x, state, is_leaf=is_set)
