"""Outputs of FReeNet's official code: python make_freenet.py CHECKOUT (README.md)."""

import numpy as np
import official
import torch
from official import filled, first, last
from PIL import Image
from rule import image, numbers, points, save

official.code('src', 'src/ULC')
for name in ('torchvision', 'torchvision.transforms'):
    official.stand_in(name)

import net_ULC  # noqa: E402
from models import landmark_L64_Tri_model as tri  # noqa: E402
from models import networks  # noqa: E402
from models import vgg as code_vgg  # noqa: E402
from ULC_trainer import ULC_trainer  # noqa: E402

WIDTH, SIDE, ROWS = 8, 64, 2


def flat(name: str) -> torch.Tensor:
    """Landmarks in pixels of a crop of 512, [2, 212]."""
    return torch.from_numpy(points(name, ROWS, 512).reshape(ROWS, -1))


def converter() -> dict:
    """ULC, both discriminators, and every loss of its trainer."""
    trainer = object.__new__(ULC_trainer)
    trainer.netG = filled(net_ULC.ULC())
    trainer.netD = filled(net_ULC.DiscriminatorDiv())
    trainer.netDr = filled(net_ULC.DiscriminatorReal(), 'real.')
    # Rows are pairs: what row 0 is converted to is what row 1 is driven by.
    truth, known, rest = flat('truth'), flat('known'), flat('rest')
    trainer.A, trainer.B, trainer.B1 = truth.flip(0), truth, known
    trainer.A_calm, trainer.B_calm = rest.flip(0), rest
    trainer.criterionGAN = least_squares()
    l1 = torch.nn.L1Loss()
    trainer.criterionCycle = trainer.criterionIdt = trainer.criterionL1 = l1
    trainer.reset()
    trainer.forward()
    trainer.backward_G()
    gradient = trainer.netG.calm[0].weight.grad[:8].clone()
    trainer.backward_D()
    return {
        'made': trainer.fake_B.detach().reshape(ROWS, 106, 2),
        'D_TF': trainer.netDr(trainer.B).detach(),
        'D_S': trainer.netD(trainer.B, trainer.B1).detach(),
        'loss': trainer.loss_G.item(),
        'gradient': gradient,
        'loss_D_S': trainer.loss_log_D_real + trainer.loss_log_D_fake,
        'loss_D_TF': trainer.loss_log_Dr_real + trainer.loss_log_Dr_fake,
        **{
            key: getattr(trainer, f'loss_log_{name}')
            for key, name in (('l1', 'L1'), ('cycle', 'cycle_A'), ('identity', 'idt_A'))
        },
    }


def least_squares():
    """ULC's own GANLoss, in least squares as its trainer sets it."""
    import loss

    return loss.GANLoss('mse')


def drawn(marks: np.ndarray, side: int) -> np.ndarray:
    """The landmark images of a data set, [n, side / 8, side / 8, 3] in [-1, 1]."""
    from data.RaFD90L64Tri_dataset import RaFD90L64TriDataset

    draw, images = RaFD90L64TriDataset.drawCircle, []
    for one in marks.reshape(len(marks), -1):
        blank = np.zeros((side, side, 3))
        full = draw(None, blank, torch.from_numpy(one), 1, (255, 255, 255), 8)
        small = (
            Image.fromarray(np.uint8(full)).convert('RGB').resize([side // 8] * 2, Image.BICUBIC)
        )
        images.append(np.asarray(small, np.float32) / 255 * 2 - 1)
    return np.stack(images)


def generator() -> dict:
    """GAG, PatchGAN, and every loss of their model, on 64 x 64 pixels."""
    model = object.__new__(tri.LandmarkL64TriModel)
    model.isTrain = True
    norm = networks.get_norm_layer('instance')
    net = networks.ResnetConditionTriGenerator(3, 3, WIDTH, norm, True, 9)
    model.netG, model.netD = filled(net), filled(networks.NLayerDiscriminator(6, WIDTH, 3, norm))
    model.per = filled(code_vgg.VGG(code_vgg.make_layers(code_vgg.cfg['D']), init_weights=False))
    for parameter in model.per.parameters():
        parameter.requires_grad = False
    model.A1, model.A2 = (first(image(name, ROWS, SIDE, SIDE, 3)) for name in ('A1', 'A2'))
    model.B1 = model.A1.flip(0)  # rows are each other's strangers
    lines = [drawn(points(name, ROWS, 2 * SIDE), 2 * SIDE) for name in 'abc']
    model.l_A1A2, model.l_B1A1, model.l_A2B1 = map(first, lines)
    model.criterionGAN = networks.GANLoss('vanilla')
    model.criterionL1, model.criterionPerceptual = torch.nn.L1Loss(), torch.nn.MSELoss()
    model.forward()
    model.backward_D()
    model.backward_G()
    maps = model.per(model.A1)
    return {
        'circles': drawn(points('many', ROWS, 512), 512)[..., :1],
        'lines': np.stack(lines),
        'encoded': last(model.netG.model1(model.A1)),
        'landmarks': last(model.netG.model_landmark_trans(model.l_A1A2)),
        'made': last(model.A1A2),
        'D': last(model.netD(torch.cat((model.A1, model.A2), 1))),
        'loss': model.loss_G.item(),
        'gan': model.loss_G_GAN.item(),
        'l1': model.loss_G_L1.item(),
        'triplet': float(model.loss_G_Tri),
        'loss_D': model.loss_D_real.item() + model.loss_D_fake.item(),
        'gradient': net.model1[1].weight.grad.clone(),
        **{f'map{i}': last(one)[:, ::4, ::4, ::4] for i, one in enumerate(maps)},
    }


def batch_norm() -> dict:
    """PatchGAN with batch norm, in training: junyanz's, which pix2pix has."""
    norm = networks.get_norm_layer('batch')
    net = filled(networks.NLayerDiscriminator(6, WIDTH, 3, norm)).train()
    given = numbers('pair', ROWS, SIDE, SIDE, 6)
    out = {'logits': last(net(first(given)))}
    unet = filled(networks.UnetGenerator(4, 3, 6, WIDTH, norm, use_dropout=False)).train()
    return out | {'unet': last(unet(first(numbers('four', ROWS, SIDE, SIDE, 4))))}


if __name__ == '__main__':
    torch.manual_seed(0)
    save('freenet_ulc', **converter())
    save('freenet_gag', **generator())
    save('pix2pix', **batch_norm())
