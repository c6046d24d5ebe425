"""Outputs of the first order motion model's official code: python make_fomm.py CHECKOUT"""

import functools
import sys
import types

import official
import torch
import yaml
from fomm_rule import (
    COMMON,
    CORNERS,
    FULL,
    GENERATOR,
    JUDGE,
    KP,
    MOTION,
    ROWS,
    SCALES,
    SIDE,
    picture,
    tensor,
    transform,
)  # fmt: skip
from official import first, last
from rule import save

official.code('.')


def vgg19(pretrained: bool):
    """What the code asks of torchvision: VGG19's layers, here with the rule's weights."""
    del pretrained
    layers, inputs = [], 3
    for width, count in ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4)):
        for _ in range(count):
            layers += [torch.nn.Conv2d(inputs, width, 3, padding=1), torch.nn.ReLU()]
            inputs = width
        layers.append(torch.nn.MaxPool2d(2))
    return types.SimpleNamespace(
        features=official.filled(torch.nn.Sequential(*layers), 'features.')
    )


official.stand_in('torchvision', models=types.SimpleNamespace(vgg19=vgg19))

from modules import model  # noqa: E402
from modules.discriminator import MultiScaleDiscriminator  # noqa: E402
from modules.generator import OcclusionAwareGenerator  # noqa: E402
from modules.keypoint_detector import KPDetector  # noqa: E402

model.torch.cuda.is_available = lambda: False


def filled(part: str, net: torch.nn.Module, prefix: str = '') -> torch.nn.Module:
    """Give a network the rule's weights; kernels that blur stay."""
    state = {
        name: torch.from_numpy(tensor(part, name, tuple(value.shape), prefix))
        for name, value in net.state_dict().items()
        if value.dim() and not name.endswith('down.weight')
    }
    net.load_state_dict(state, strict=False)
    return net.eval()


def networks(prefix: str = '', **full):
    """The detector and the generator, with the rule's weights."""
    kp = KPDetector(**(full.get('kp_detector_params') or KP), **(full.get('common') or COMMON))
    given = full.get('generator_params') or GENERATOR | {'dense_motion_params': MOTION}
    generator = OcclusionAwareGenerator(**given, **(full.get('common') or COMMON))
    return filled('kp_detector', kp, prefix), filled('generator', generator, prefix)


def forward(kp, generator, side: int, step: int, rows: int) -> dict:
    """Every output in use, of images every `step` pixels."""
    source, driving = (first(picture(name, rows, side)) for name in ('source', 'driving'))
    kept = {}
    motion = generator.dense_motion_network
    motion.register_forward_hook(lambda *call: kept.update(call[-1]))
    with torch.no_grad():
        points = {'source': kp(source), 'driving': kp(driving)}
        made = generator(source, kp_source=points['source'], kp_driving=points['driving'])
    thin = max(step // 4, 1)
    outputs = {f'{who}_{what}': one[what].numpy() for who, one in points.items() for what in one}
    return outputs | {
        'deformation': kept['deformation'].numpy()[:, ::thin, ::thin],
        'mask': last(kept['mask'])[:, ::thin, ::thin],
        'occlusion': last(kept['occlusion_map'])[:, ::thin, ::thin],
        'prediction': last(made['prediction'])[:, ::step, ::step],
    }


class Fixed(model.Transform):
    """The transform that the rule gives."""

    def __init__(self, bs, **kwargs):
        super().__init__(bs, **kwargs)
        matrix, bends = transform(bs)
        self.theta = torch.from_numpy(matrix)
        self.control_params = torch.from_numpy(bends)[:, None]


def losses() -> dict:
    """All losses of a training step, and their gradients in some of the weights."""
    model.Transform = Fixed
    kp, generator = networks()
    judge = filled('discriminator', MultiScaleDiscriminator(**JUDGE, **COMMON, use_kp=True))
    settings = dict(
        scales=list(SCALES),
        transform_params=dict(sigma_affine=0.05, sigma_tps=0.005, points_tps=5),
        loss_weights=dict(
            generator_gan=1, discriminator_gan=1, feature_matching=[10] * 4, perceptual=[10] * 5,
            equivariance_value=10, equivariance_jacobian=10,
        ),
    )  # fmt: skip
    for net in (kp, generator, judge):
        net.train()
    whole = model.GeneratorFullModel(kp, generator, judge, settings)
    whole.vgg.eval()
    against = model.DiscriminatorFullModel(kp, generator, judge, settings)
    batch = {name: first(picture(name, ROWS, SIDE)) for name in ('source', 'driving')}
    values, made = whole(batch)
    sum(values.values()).backward()
    gradients = {
        'grad_kp': kp.kp.weight.grad,
        'grad_jacobian': kp.jacobian.bias.grad,
        'grad_mask': generator.dense_motion_network.mask.bias.grad,
        'grad_final': generator.final.weight.grad,
    }
    outputs = {name: value.detach().numpy().copy() for name, value in (values | gradients).items()}
    judge.zero_grad()
    value = against(batch, made)['disc_gan']
    value.backward()
    grad = judge.discs['1'].conv.weight.grad
    return outputs | {'disc_gan': value.item(), 'grad_judge': grad.numpy()}


def spectral() -> dict:
    """The discriminator of vox-256 at a small width: no keypoints, spectral norm."""
    judge = MultiScaleDiscriminator(**JUDGE, **COMMON, sn=True)
    filled('spectral', judge)
    judge.train()  # one power iteration, as ours makes from u
    with torch.no_grad():
        maps = judge({'prediction_1': first(picture('source', ROWS, SIDE))})
    return {'spectral': last(maps['prediction_map_1'])}


def counts() -> dict:
    """Parameters at full size, by the official configs: 4096 of them, and the rest."""
    found = {}
    for name in ('vox-256', 'vox-adv-256'):
        params = configs(name)['model_params']
        common = params['common_params']
        nets = {
            'kp_detector': KPDetector(**params['kp_detector_params'], **common),
            'generator': OcclusionAwareGenerator(**params['generator_params'], **common),
            'discriminator': MultiScaleDiscriminator(**params['discriminator_params'], **common),
        }
        for part, net in nets.items():
            found[f'count_{name}_{part}'] = divmod(sum(p.numel() for p in net.parameters()), 4096)
    return found


def corners() -> dict:
    """Outputs and losses as PyTorch 1.0.0 gives them, for which the code was first written.

    There `grid_sample` takes -1 and 1 for the centres of the border pixels.
    """
    functional, sample = torch.nn.functional, torch.nn.functional.grid_sample
    functional.grid_sample = functools.partial(sample, align_corners=True)
    found = forward(*networks(), SIDE, 4, ROWS) | losses()
    functional.grid_sample = sample
    return {name: found[name] for name in CORNERS}


def configs(name: str) -> dict:
    """Read an official config."""
    with open(f'{sys.argv[1]}/config/{name}.yaml') as file:
        return yaml.safe_load(file)


if __name__ == '__main__':
    params = configs('vox-256')['model_params']
    save('fomm', **forward(*networks(), SIDE, 4, ROWS), **losses(), **spectral(), **counts())
    full = networks(FULL, **params, common=params['common_params'])
    save('fomm_full', **forward(*full, 256, 16, 1))
    save('fomm_corners', **corners())
