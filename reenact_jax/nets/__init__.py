"""Networks: plain linen modules. Every call takes `train`, whether it needs it or not."""

from collections.abc import Callable

import jax


def frozen_apply(nets: dict, variables: dict) -> Callable:
    """`apply(letter, *args, method=None)` outside training: train=False, nothing is updated."""

    def apply(letter: str, *args, method=None, train: bool = False):
        del train
        return nets[letter].apply(variables[letter], *args, method=method, train=False)

    return apply


def init_each(nets: dict, rng: jax.Array, arguments: dict[str, tuple]) -> dict:
    """{letter: variables} from {letter: example arguments}; a key each, by place in the dict."""
    return {
        letter: nets[letter].init(jax.random.fold_in(rng, i), *args, train=True)
        for i, (letter, args) in enumerate(arguments.items())
    }
