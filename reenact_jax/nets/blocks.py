"""Convolution with its padding and spectral norm, plain normalisation, and a gated head."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, Float

from reenact_jax.nets import initial, narrow

NORMS = ('batch', 'instance', 'layer', 'none')
EPSILON = 1e-5  # PyTorch's, as in pix2pixHD


class Conv(nn.Module):
    """A 2D convolution with bias. Output side: (side + 2 padding - kernel) // stride + 1.

    Attributes:
      features: output channels.
      kernel: side of the kernel.
      stride: of both axes.
      padding: pixels on every side; None keeps the side at stride 1 (kernel // 2).
      reflect: mirror the border instead of adding zeros.
      spectral: divide the kernel by its largest singular value (Miyato et al. 2018); without its
        variable `u` the kernel has been divided already (`folded`).
      use_bias: add a bias a channel.
      kernel_init, bias_init: initialisers.
    """

    features: int
    kernel: int = 3
    stride: int = 1
    padding: int | None = None
    reflect: bool = False
    spectral: bool = False
    use_bias: bool = True
    kernel_init: Callable = initial.he
    bias_init: Callable = nn.initializers.zeros

    @nn.compact
    def __call__(self, x: Float[Array, 'b h w c'], train: bool = True) -> Float[Array, 'b H W f']:
        pad = self.kernel // 2 if self.padding is None else self.padding
        # XLA's CPU gradient by an even kernel of stride 1 (PatchGAN's) is 15 times slower with the
        # convolution's own padding than with the image padded beforehand; others are not.
        even = self.kernel % 2 == 0 and self.stride == 1
        few = narrow.suits(self.kernel, self.stride, self.features)
        if pad and (self.reflect or even or few):
            border = ((0, 0), (pad, pad), (pad, pad), (0, 0))
            x, pad = jnp.pad(x, border, mode='reflect' if self.reflect else 'constant'), 0
        shape = (self.kernel, self.kernel, x.shape[-1], self.features)
        kernel = self.param('kernel', self.kernel_init, shape)
        if self.spectral and (self.is_initializing() or self.has_variable('spectral', 'u')):
            kernel = kernel / self._singular_value(kernel, train)
        y = self._convolved(x, kernel.astype(x.dtype), pad, few)
        if self.use_bias:
            bias = self.param('bias', self.bias_init, (self.features,))
            y = y + bias.astype(x.dtype)[None, None, None]
        return y

    def _convolved(self, x: Array, kernel: Array, pad: int, few: bool) -> Array:
        if few:
            return narrow.convolution(x, kernel)
        return jax.lax.conv_general_dilated(
            x,
            kernel,
            (self.stride, self.stride),
            ((pad, pad), (pad, pad)),
            dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
        )

    def _singular_value(self, kernel: Array, train: bool) -> Float[Array, '']:
        """Estimate the largest one by a power iteration from `spectral/u`, which training moves on.

        flax's SpectralNorm does the same sums; this one draws u by `initial.draw`.
        """
        u = self.variable('spectral', 'u', self._start, (self.features,))
        sigma, left = _largest_singular_value(kernel, u.value)
        if train and not self.is_initializing():
            u.value = left
        return sigma

    def _start(self, shape: tuple[int, ...]) -> Array:
        return initial.draw(self.make_rng('params'), shape)


def folded(variables: dict) -> dict:
    """Divide the kernels of a network that have spectral norm, once instead of at every use.

    Args:
      variables: {'params': ..., 'spectral': ..., ...}; without `spectral` nothing changes.
    """
    vectors: dict[tuple[str, ...], Any] = flatten_dict(variables.get('spectral', {}))
    params: dict[tuple[str, ...], Any] = flatten_dict(variables.get('params', {}))
    kernels = {path: (*path[:-1], 'kernel') for path in vectors}
    if not kernels or any(p[-1] != 'u' or k not in params for p, k in kernels.items()):
        return variables  # none, or that of another kind of layer
    for path, kernel in kernels.items():
        params[kernel] = params[kernel] / _largest_singular_value(params[kernel], vectors[path])[0]
    rest = {name: value for name, value in variables.items() if name != 'spectral'}
    return {**rest, 'params': unflatten_dict(params)}


def _largest_singular_value(kernel: Array, u: Array) -> tuple[Array, Array]:
    """Return a kernel's, after one power iteration from u, and u after it."""
    matrix = kernel.reshape(-1, kernel.shape[-1])
    right = _unit(matrix @ u)
    left = _unit(right @ matrix)
    left, right = jax.lax.stop_gradient((left, right))
    sigma = right @ matrix @ left
    return jnp.where(sigma > 0, sigma, 1.0), left


def _unit(vector: Array) -> Array:
    return vector * jax.lax.rsqrt(jnp.maximum(jnp.sum(vector**2), 1e-24))


class TransposedConv(nn.Module):
    """A transposed convolution with stride 2: twice the side (PyTorch's padding 1).

    It is computed as one 2x2 convolution to the four phases of the result: the same sums, without
    the zeros between pixels, whose gradient by the kernel is up to 20 times slower on CPUs.

    Attributes:
      features: output channels.
      kernel: 4, or 3 (PyTorch's output padding 1), which is a 4x4 one without its first tap.
      use_bias: add a bias a channel.
      kernel_init: initialiser of the kernel.
    """

    features: int
    kernel: int = 4
    use_bias: bool = True
    kernel_init: Callable = initial.doubled

    @nn.compact
    def __call__(
        self, x: Float[Array, 'b h w c'], train: bool = True
    ) -> Float[Array, 'b 2*h 2*w f']:
        del train
        b, h, w, c = x.shape
        # Pixel 2 i + a of a row is a sum over input i + a - 1 with tap a and i + a with tap a + 2.
        kernel = self.param(
            'kernel', self.kernel_init, (self.kernel, self.kernel, c, self.features)
        )
        kernel = jnp.pad(kernel, ((4 - self.kernel, 0), (4 - self.kernel, 0), (0, 0), (0, 0)))
        taps = kernel.reshape(2, 2, 2, 2, c, self.features).transpose(0, 2, 4, 1, 3, 5)
        phases = jax.lax.conv_general_dilated(
            jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))),
            taps.reshape(2, 2, c, 4 * self.features).astype(x.dtype),
            (1, 1),
            'VALID',
            dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
        ).reshape(b, h + 1, w + 1, 2, 2, self.features)
        rows = [
            jnp.stack([phases[:, i : i + h, j : j + w, i, j] for j in (0, 1)], 3) for i in (0, 1)
        ]
        y = jnp.stack(rows, 2).reshape(b, 2 * h, 2 * w, self.features)
        if self.use_bias:
            bias = self.param('bias', nn.initializers.zeros, (self.features,))
            y = y + bias.astype(x.dtype)[None, None, None]
        return y


class Norm(nn.Module):
    """Normalisation to zero mean and unit deviation.

    Attributes:
      kind: what has mean and deviation of its own:
        `batch`     a channel over batch and space; running averages (momentum 0.9) outside
                    training, collection `batch_stats`; under a sharded jit the global batch
        `instance`  a channel over space, one image
        `layer`     all channels over space, one image: relations between channels stay
        `none`      nothing: the input stays as it is
      affine: learn a scale and a shift a channel.
    """

    kind: str = 'batch'
    affine: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, 'b h w c'], train: bool = True) -> Float[Array, 'b h w c']:
        if self.kind == 'none':
            return x
        y = self._normalised(x, train)
        if self.affine:
            scale = self.param('scale', nn.initializers.ones, (x.shape[-1],)).astype(x.dtype)
            bias = self.param('bias', nn.initializers.zeros, (x.shape[-1],)).astype(x.dtype)
            y = y * scale[None, None, None] + bias[None, None, None]
        return y

    def _normalised(self, x: Array, train: bool) -> Array:
        if self.kind == 'batch':
            plain: dict[str, Any] = dict(
                momentum=0.9, epsilon=EPSILON, use_bias=False, use_scale=False
            )
            return nn.BatchNorm(use_running_average=not train, **plain)(x)
        axes = {'instance': (1, 2), 'layer': (1, 2, 3)}[self.kind]
        full = x.astype(jnp.float32)  # bfloat16 sums are off by percents
        mean = full.mean(axes, keepdims=True)
        variance = jnp.square(full - mean).mean(axes, keepdims=True)
        return ((full - mean) * jax.lax.rsqrt(variance + EPSILON)).astype(x.dtype)


def fenced(function: Callable) -> Callable:
    """Put an optimisation barrier behind every normalisation that a function traces.

    The numbers stay; compilers fuse less. It is for libtpu 0.0.42, whose stack overflows on AAN for
    v6e.
    """

    def fence(call, args, kwargs, context):
        y = call(*args, **kwargs)
        norm = isinstance(context.module, Norm) and context.method_name == '__call__'
        stands = norm and context.module.kind != 'none'
        return jax.lax.optimization_barrier(y) if stands else y

    def traced(*args):
        with nn.intercept_methods(fence):
            return function(*args)

    return traced


class ConvBlock(nn.Module):
    """Convolution, normalisation, ReLU."""

    features: int
    kernel: int = 3
    stride: int = 1
    padding: int | None = None
    norm: str = 'batch'
    spectral: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, 'b h w c'], train: bool = True) -> Float[Array, 'b H W f']:
        conv = Conv(self.features, self.kernel, self.stride, self.padding, spectral=self.spectral)
        return nn.relu(Norm(self.norm)(conv(x, train), train))


class Head(nn.Module):
    """A last convolution times a learned gain a channel, which sets its size at the start.

    With spectral norm a zero-initialised kernel jumps to norm 1 after one step; a gain does not.

    Attributes:
      features: output channels.
      gain: at the start.
      spectral: whether the convolution has spectral norm.
    """

    features: int
    gain: float = 1.0
    spectral: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, 'b h w c'], train: bool = True) -> Float[Array, 'b h w f']:
        y = Conv(self.features, spectral=self.spectral)(x, train)
        gain = self.param('gain', nn.initializers.constant(self.gain), (self.features,))
        return y * gain[None, None, None]


def upsample(x: Float[Array, 'b h w c']) -> Float[Array, 'b 2*h 2*w c']:
    """Repeat every pixel in both directions: twice the side."""
    b, h, w, c = x.shape
    return jnp.broadcast_to(x[:, :, None, :, None], (b, h, 2, w, 2, c)).reshape(b, 2 * h, 2 * w, c)
