"""TPU chips and their slices, as names that libtpu's compiler takes."""

import importlib.util
import math
import os
import re
from typing import NamedTuple

import jax
from jax.experimental import topologies

from reenact_jax.common.errors import UserError


class Chip(NamedTuple):
    """One generation of TPUs."""

    hbm: int  # bytes
    axes: int  # dimensions of a slice: 2 for a torus of the plane, 3 for one of space
    most: int  # chips in the largest slice


# https://cloud.google.com/tpu/docs/v5e, /v5p, /v6e: HBM capacity, pod size. Not v4: libtpu
# describes it as two devices a chip, and jax on a v4 shows one.
CHIPS = {
    'v5e': Chip(16 * 2**30, 2, 256),
    'v5p': Chip(95 * 2**30, 3, 8960),
    'v6e': Chip(32 * 2**30, 2, 256),
}
# FLOP/s of a chip in bfloat16 without sparsity, by JAX's `device_kind`: the same pages, and
# NVIDIA's data sheets of the A100, H100 (SXM) and H200.
PEAKS = {
    'TPU v5 lite': 197e12,
    'TPU v5': 459e12,
    'TPU v6 lite': 918e12,
    'NVIDIA A100-SXM4-40GB': 312e12,
    'NVIDIA A100-SXM4-80GB': 312e12,
    'NVIDIA H100 80GB HBM3': 989e12,
    'NVIDIA H200': 989e12,
}
# What a libtpu without a TPU asks Google's metadata server for, and then complains about.
_NO_TPU = {
    'TPU_SKIP_MDS_QUERY': '1',
    'TPU_ACCELERATOR_TYPE': 'v5litepod-16',
    'TPU_WORKER_HOSTNAMES': 'localhost',
}
_ACCEPTED = (
    'v5e:AxB and v6e:AxB (1x1, 2x2, 2x4, 4x4, 4x8, 8x8, 8x16, 16x16), v5p:AxBxC (2x2x1, 2x2x2, '
    '2x2x4, 2x4x4, 4x4x4, ...)'
)


def parse(name: str) -> tuple[Chip, tuple[int, ...]]:
    """Read the name of a topology.

    Args:
      name: such as `v5e:16x16`.

    Returns:
      The generation of its chips, and its sides in chips.

    Raises:
      UserError: there is no such slice.
    """
    match = re.fullmatch(r'(\w+):(\d+(?:x\d+)*)', name)
    generation, sides = match.groups() if match else ('', '')
    sides = tuple(int(side) for side in sides.split('x') if side)
    chip = CHIPS.get(generation)
    if chip is None or len(sides) != chip.axes:
        raise UserError(f'--topology: {name!r} is not a slice of TPUs; accepted: {_ACCEPTED}')
    if not 1 <= math.prod(sides) <= chip.most:
        raise UserError(f'--topology: {name}: a slice of {generation} has 1 to {chip.most} chips')
    return chip, sides


def devices(name: str, slices: int = 1) -> list:
    """List the devices of a topology, to compile for; none of them has to be there.

    Args:
      name: see `parse`.
      slices: how many such slices, joined by the network of the data centre.

    Raises:
      UserError: libtpu is absent or in use, or the name is wrong.
    """
    _, sides = parse(name)
    if not os.environ.get('TPU_LIBRARY_PATH') and importlib.util.find_spec('libtpu') is None:
        raise UserError(
            "libtpu, the TPU compiler, is not installed; `pip install 'jax[tpu]'` brings the one "
            f'of this jax ({jax.__version__}); with a checkout: `pip install -e .[tpu-check]`'
        )
    for variable, value in _NO_TPU.items():
        os.environ.setdefault(variable, value)
    host = {'chips_per_host_bounds': [1, 1, 1]} if set(sides) == {1} else {}  # else 2 x 2 x 1
    try:
        more = {'num_slices': slices} if slices > 1 else {}
        return topologies.get_topology_desc(name, platform='tpu', **host, **more).devices
    except jax.errors.JaxRuntimeError as error:
        if 'lockfile' in str(error) or 'in use' in str(error):
            raise UserError(
                'libtpu: another process of this machine holds /tmp/libtpu_lockfile; every jax '
                'that was started without JAX_PLATFORMS=cpu does. Wait for it, or set '
                'ALLOW_MULTIPLE_LIBTPU_LOAD=1: compiling touches no chip'
            ) from None
        reason = str(error).partition(': ')[2]
        raise UserError(f'--topology: {name}: {reason}; accepted: {_ACCEPTED}') from None
