"""Face reenactment in JAX: animate one portrait with the motion of another face.

>>> import reenact_jax
>>> model = reenact_jax.load('out/bundle')
>>> clip = model.animate('portrait.jpg', 'clip.mp4', reference='best')
>>> clip.save('result.mp4')

What a user can put right is a `UserError`, which says what to do:

>>> try:
...     model.animate('nowhere.jpg', 'clip.mp4')
... except reenact_jax.UserError as error:
...     print(error)
nowhere.jpg: no such file or folder

Public names: `load`, `Model`, `Clip`, `UserError`, `__version__`.
"""

import importlib
import importlib.metadata
import os

__version__ = '0.1.0'
__all__ = ['Clip', 'Model', 'UserError', '__version__', 'load']

_PUBLIC = {
    'Clip': 'reenact_jax.reenact.model',
    'Model': 'reenact_jax.reenact.model',
    'load': 'reenact_jax.reenact.model',
    'UserError': 'reenact_jax.common.errors',
}

# From 0.10.2 on, jaxlib's CPU compiler hands some programs to YNNPACK and gets wrong numbers back:
# jitted attention whose keys all images share was off by more than its values
# (tests/test_nets.py; https://github.com/jax-ml/jax/issues/39103 is another case). The flag, which
# must be set before the first program is compiled, switches that off; other devices ignore it.
_YNN = '--xla_cpu_experimental_ynn_fusion_type'
_flags = os.environ.get('XLA_FLAGS', '')
if _YNN not in _flags and importlib.metadata.version('jaxlib').startswith(('0.10.', '0.11.')):
    os.environ['XLA_FLAGS'] = f'{_flags} {_YNN}='.strip()


def __getattr__(name: str):
    """Import a public name when it is used first: commands start without them."""
    if name not in _PUBLIC:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(_PUBLIC[name]), name)
