"""Helpers of the scripts that run official code. They need PyTorch and a checkout of that code."""

import pathlib
import sys
import types

import numpy as np
import torch
from rule import weight


def code(*folders: str) -> None:
    """Make a checkout's folders importable, by the path given on the command line."""
    root = pathlib.Path(sys.argv[1])
    sys.path[:0] = [str(root / folder) for folder in folders]


def stand_in(name: str, **members) -> None:
    """Let official code import a module that it names and that these scripts do not need."""
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(members)


def filled(net: torch.nn.Module, prefix: str = '') -> torch.nn.Module:
    """Give a network the weights of the rule; in use, not in training (no dropout)."""
    state = {
        name: torch.from_numpy(weight(prefix + name, tuple(value.shape)))
        for name, value in net.state_dict().items()
        if value.dim()
    }
    net.load_state_dict(state, strict=False)
    return net.eval()


def first(x: np.ndarray) -> torch.Tensor:
    """Return a batch of images as PyTorch has them, channels first."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1)))


def last(x: torch.Tensor) -> np.ndarray:
    """Return a batch of images as JAX has them, channels last."""
    return np.moveaxis(x.detach().numpy(), 1, -1)
