"""Outputs of pix2pixHD's official code: python make_pix2pixhd.py CHECKOUT FREENET_CHECKOUT

The second checkout has VGG's layers, for which this code asks torchvision.
"""

import importlib.util
import pathlib
import sys
import types

import numpy as np
import official
import torch
from official import filled, first, last
from rule import image, numbers, save

official.code('.')
WIDTH, ROWS = 4, 2


def vgg19(pretrained: bool):
    """What the code asks of torchvision: VGG19's layers, here with the rule's weights."""
    del pretrained
    path = pathlib.Path(sys.argv[2]) / 'src' / 'models' / 'vgg.py'
    spec = importlib.util.spec_from_file_location('layers', path)
    layers = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(layers)
    features = layers.make_layers(layers.cfg['E'])
    filled(features, 'features.')
    return types.SimpleNamespace(features=features)


official.stand_in('torchvision', models=types.SimpleNamespace(vgg19=vgg19))
torch.nn.Module.cuda = lambda self, device=None: self

from models import networks  # noqa: E402
from models.pix2pixHD_model import Pix2PixHDModel  # noqa: E402

NORM = networks.get_norm_layer('instance')


def generators() -> dict:
    """The global generator alone, and the local enhancer over one."""
    alone = filled(networks.GlobalGenerator(4, 3, 2 * WIDTH, 3, 2, NORM), 'G1.')
    both = filled(networks.LocalEnhancer(4, 3, WIDTH, 3, 2, 1, 2, NORM), 'G2.')
    with torch.no_grad():
        return {
            'G1': last(alone(first(image('half', ROWS, 32, 32, 4)))),
            'G2': last(both(first(image('full', ROWS, 64, 64, 4)))),
        }


def discriminators() -> dict:
    """Every map of three scales, also of odd sides; both forms of the GAN loss."""
    net = filled(networks.MultiscaleDiscriminator(7, WIDTH, 3, NORM, False, 3, True), 'D.')
    outputs = {}
    for name, side in (('even', 64), ('odd', 51)):
        maps = net(first(numbers(name, 1, side, side, 7)))
        logits = [scale[-1] for scale in maps]
        outputs |= {f'{name}{i}': last(one) for i, one in enumerate(logits)}
    for form, least_squares in (('lsgan', True), ('log', False)):
        judge = networks.GANLoss(least_squares)
        given = maps if least_squares else [[torch.sigmoid(one)] for one in logits]
        outputs[f'{form}_real'] = judge(given, True).item()
        outputs[f'{form}_fake'] = judge(given, False).item()
    return outputs


def losses() -> dict:
    """All losses of the model in training, for an image that a stand-in generator gives."""
    model = object.__new__(Pix2PixHDModel)
    torch.nn.Module.__init__(model)
    model.opt = types.SimpleNamespace(
        label_nc=0, no_instance=True, load_features=False, no_ganFeat_loss=False,
        no_vgg_loss=False, n_layers_D=3, num_D=3, lambda_feat=10.0, data_type=32,
    )  # fmt: skip
    model.use_features, model.gen_features = False, False
    model.fake_pool = types.SimpleNamespace(query=lambda x: x)
    model.netD = filled(networks.MultiscaleDiscriminator(7, WIDTH, 3, NORM, False, 3, True), 'D.')
    made = torch.nn.Parameter(first(image('made', ROWS, 64, 64, 3)))
    model.netG = types.SimpleNamespace(forward=lambda given: made)
    model.criterionGAN = networks.GANLoss(True)
    model.criterionFeat = torch.nn.L1Loss()
    model.criterionVGG = networks.VGGLoss([])
    model.loss_filter = model.init_loss_filter(True, True)
    given, truth = first(image('full', ROWS, 64, 64, 4)), first(image('truth', ROWS, 64, 64, 3))
    torch.Tensor.cuda = lambda self, device=None: self
    values, _ = model.forward(given, None, truth, None)
    sum(values[:3]).backward()
    maps = model.criterionVGG.vgg(truth)
    return {
        **dict(zip(('gan', 'matching', 'vgg', 'real', 'fake'), values, strict=True)),
        'gradient': last(made.grad),
        **{f'map{i}': last(one)[:, ::4, ::4, ::8] for i, one in enumerate(maps)},
    }


if __name__ == '__main__':
    arrays = generators() | discriminators() | losses()
    save(
        'pix2pixhd',
        **{k: np.asarray(getattr(v, 'detach', lambda v=v: v)()) for k, v in arrays.items()},
    )
