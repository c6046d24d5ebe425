"""Networks: plain linen modules. Every call takes `train`, whether it needs it or not."""

from collections.abc import Callable


def frozen_apply(nets: dict, variables: dict) -> Callable:
    """`apply(letter, *args, method=None)` outside training: train=False, nothing is updated."""

    def apply(letter: str, *args, method=None, train: bool = False):
        del train
        return nets[letter].apply(variables[letter], *args, method=method, train=False)

    return apply
