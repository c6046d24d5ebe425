"""Networks: plain linen modules. Every call takes `train`, whether it needs it or not."""

from collections.abc import Callable


def frozen_apply(nets: dict, variables: dict) -> Callable:
    """Make `apply(network, *args, method=None)` for use outside training: nothing is updated.

    Args:
      nets: linen modules by the paper's names.
      variables: their variables, by the same names.
    """

    def apply(network: str, *args, method=None, train: bool = False):
        del train
        return nets[network].apply(variables[network], *args, method=method, train=False)

    return apply
