"""Settings of the first order motion model; the official code's name of each stands in brackets."""

import dataclasses

from reenact_jax.common import settings
from reenact_jax.common.settings import setting


@dataclasses.dataclass(frozen=True)
class Hparams:
    """The numbers of the official vox-256.yaml."""

    keypoints: int = setting(10, low=3, high=1000, doc='keypoints [num_kp]')
    temperature: float = setting(
        0.1, low=1e-3, high=1e3, doc="of the softmax over keypoints' places [temperature]"
    )
    variance: float = setting(
        0.01, low=1e-6, high=10, doc="of keypoints' heatmaps, of sides of 2 [kp_variance]"
    )
    stride: int = setting(
        4, low=1, high=64, doc='KP and M see the image at side / this [1 / scale_factor]'
    )
    align_corners: bool = setting(
        True,
        doc='whether sampling takes -1 and 1 for the centres of the border pixels, as in PyTorch '
        '1.0.0, which the code asked for when its weights were published; 1.12, which it asks for '
        'now, takes them for the outer edges (False)',
    )
    kp_width: int = settings.width(32, 'KP: features at full size [block_expansion]')
    kp_most: int = settings.width(1024, 'KP: bound of the features [max_features]')
    kp_depth: int = setting(5, low=1, high=12, doc='KP: halvings [num_blocks]')
    motion_width: int = settings.width(64, 'M: features at full size [block_expansion]')
    motion_most: int = settings.width(1024, 'M: bound of the features [max_features]')
    motion_depth: int = setting(5, low=1, high=12, doc='M: halvings [num_blocks]')
    width: int = settings.width(64, 'G: features at full size [block_expansion]')
    most: int = settings.width(512, 'G: bound of the features [max_features]')
    downs: int = setting(2, low=1, high=12, doc='G: halvings [num_down_blocks]')
    blocks: int = setting(6, low=0, high=100, doc='G: residual blocks [num_bottleneck_blocks]')
    d_width: int = settings.width(32, 'D: half of its first features [block_expansion]')
    d_most: int = settings.width(512, 'D: bound of the features [max_features]')
    d_layers: int = setting(4, low=1, high=12, doc='D: layers [num_blocks]')
    d_spectral: bool = setting(True, doc='D: spectral norm [sn]')
    d_keypoints: bool = setting(False, doc="D: whether it sees the driver's keypoints [use_kp]")
    scales: tuple[float, ...] = setting(
        (1.0, 0.5, 0.25, 0.125),
        low=1 / 64,
        high=1,
        doc='of the pyramid of the perceptual loss, each 1 / an integer [scales]',
    )
    lambda_perceptual: tuple[float, ...] = setting(
        (10.0,) * 5,
        least=5,
        low=0,
        high=1e6,
        doc="weights of VGG19's five maps, each summed over the scales [perceptual]",
    )
    lambda_value: float = settings.weight(
        10.0, 'weight of the equivariance of places [equivariance_value]'
    )
    lambda_jacobian: float = settings.weight(
        10.0, 'weight of the equivariance of Jacobians [equivariance_jacobian]'
    )
    lambda_gan: float = settings.weight(
        0.0, 'weight of the adversarial loss; 0: no D [generator_gan]'
    )
    lambda_d: float = settings.weight(1.0, "weight of D's loss [discriminator_gan]")
    lambda_features: tuple[float, ...] = setting(
        (10.0,) * 4,
        low=0,
        high=1e6,
        doc="weights of D's maps, where there is D [feature_matching]",
    )
    sigma_affine: float = setting(
        0.05, low=0, high=1, doc='deviation of random affine maps [sigma_affine]'
    )
    sigma_plate: float = setting(
        0.005, low=0, high=1, doc='deviation of random thin plates [sigma_tps]'
    )
    plate_points: int = setting(
        5, low=2, high=64, doc='control points of thin plates along a side [points_tps]'
    )
    features: str = setting(
        'vgg19', choices=('vgg19', 'random'), doc='perceptual loss: whose features'
    )
    vgg_weights: str = setting(
        '', doc="file of VGG's weights, .npz or .safetensors, see nets/vgg.py; not for `random`"
    )
    random_width: int = settings.width(16, 'features of the first `random` block (ours)')
    rate: float = settings.rate(
        2e-4, 'learning rate of Adam, of all networks [lr_generator, lr_kp_detector]'
    )
    d_rate: float = settings.rate(2e-4, "learning rate of D's Adam [lr_discriminator]")
    b1: float = settings.share(0.5, 'b1 of Adam; b2 is 0.999')
    epochs: int = setting(100, low=1, high=10**6, doc='length [num_epochs]')
    repeats: int = setting(75, low=1, high=10**6, doc='of the data in an epoch [num_repeats]')
    milestones: tuple[int, ...] = setting(
        (60, 90),
        low=1,
        high=10**6,
        doc='epochs where the rate falls to a tenth [epoch_milestones]',
    )
    steps: int = settings.steps(0, 'number of updates; 0: as many as the epochs have')
    batch_size: int = settings.batch(40, 'pairs of frames in a step [batch_size]')
