"""Steps of PyTorch's Adam and RMSprop: python make_optimisers.py"""

import numpy as np
import torch
from rule import numbers, save

SIZES = 10.0 ** -np.arange(2, 8)  # 1e-2 .. 1e-7
STEPS = 12


def gradient(step: int) -> np.ndarray:
    """What the weights see at a step."""
    return (numbers(f'gradient {step}', len(SIZES)) * SIZES).astype(np.float32)


def run(make) -> np.ndarray:
    """Weights [steps, sizes] that see one gradient a step, of all sizes."""
    weight = torch.nn.Parameter(torch.zeros(len(SIZES)))
    optimiser, seen = make([weight]), []
    for step in range(STEPS):
        weight.grad = torch.from_numpy(gradient(step))
        optimiser.step()
        seen.append(weight.detach().clone().numpy())
    return np.stack(seen)


if __name__ == '__main__':
    save(
        'optimisers',
        adam=run(lambda w: torch.optim.Adam(w, lr=1e-3, betas=(0.5, 0.999))),
        adam99=run(lambda w: torch.optim.Adam(w, lr=1e-3, betas=(0.99, 0.999))),
        rmsprop=run(lambda w: torch.optim.RMSprop(w, lr=1e-3, alpha=0.99, eps=1e-8)),
    )
