"""Checkpoints of the first order motion model's program: python make_fomm_files.py CHECKOUT

Tiny networks with weights that compress well, saved by its own `Logger.save_cpk`, in PyTorch's old
format and as a zip.
"""

import functools
import lzma
import pathlib
import tempfile
import types

import official
import torch
from fomm_rule import FILES, TINY, pattern
from rule import FOLDER

official.code('.')
for name in ('imageio', 'skimage', 'skimage.draw', 'matplotlib', 'matplotlib.pyplot'):
    official.stand_in(name, disk=None, draw=None, pyplot=None)
import logger  # noqa: E402
from modules.discriminator import MultiScaleDiscriminator  # noqa: E402
from modules.generator import OcclusionAwareGenerator  # noqa: E402
from modules.keypoint_detector import KPDetector  # noqa: E402

SAVE = torch.save


def models() -> dict:
    """The networks and their optimisers after a step of no gradient."""
    common = TINY['common']
    nets = {
        'generator': OcclusionAwareGenerator(**TINY['generator'], **common),
        'discriminator': MultiScaleDiscriminator(**TINY['discriminator'], **common),
        'kp_detector': KPDetector(**TINY['kp_detector'], **common),
    }
    optimisers = {}
    for part, net in nets.items():
        state = net.state_dict()
        for name, value in state.items():
            if value.dim() and not name.endswith('down.weight'):
                value.copy_(torch.from_numpy(pattern(part, name, tuple(value.shape))))
        optimisers[f'optimizer_{part}'] = torch.optim.Adam(net.parameters(), lr=2e-4)
        for parameter in net.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimisers[f'optimizer_{part}'].step()
    return nets | optimisers


if __name__ == '__main__':
    for file, zipped in FILES.items():
        torch.save = functools.partial(SAVE, _use_new_zipfile_serialization=zipped)
        with tempfile.TemporaryDirectory() as folder:
            run = types.SimpleNamespace(models=models(), epoch=3, zfill_num=8, cpk_dir=folder)
            logger.Logger.save_cpk(run)
            (made,) = pathlib.Path(folder).iterdir()
            content = made.read_bytes()
            (FOLDER / file).write_bytes(lzma.compress(content, preset=9))
            print(file, len(content), 'bytes,', (FOLDER / file).stat().st_size, 'packed')
