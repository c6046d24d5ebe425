"""What a finished result is: measured from its file, not from what was asked."""

from typing import Any

from etils import epath

from reenact_jax.media import animations, containers, kinds, stills
from reenact_jax.media.timeline import Timeline


def measured(path: epath.PathLike) -> dict[str, Any]:
    """Measure a file.

    Returns:
      {'frames', 'rate', 'seconds', 'size', 'sound'}: of a video how many frames it has, its exact
      rate ('variable, 12.5 on average' where frames are not even), how long it lasts; width and
      height; the codec of its sound, None without one. A still has no rate and lasts 0 seconds.
    """
    found = kinds.required(path)
    if found.kind == 'still':
        size = list(stills.size(path))
        return {'frames': 1, 'rate': None, 'seconds': 0.0, 'size': size, 'sound': None}
    if found.kind == 'animation':
        head, times = animations.header(path), animations.times(path)
        return _facts(times, [head.width, head.height], None)
    with containers.opened(path) as container:
        stream, sound = containers.film(path, container), containers.sound(container)
        size, codec = [stream.width, stream.height], sound and sound.codec_context.name
    return _facts(containers.clock(path).film, size, codec)


def _facts(times: Timeline, size: list[int], sound: str | None) -> dict[str, Any]:
    even = times.rate is not None
    rate = str(times.rate) if even else f'variable, {float(times.mean):.4g} on average'
    facts = {'frames': len(times.times), 'rate': rate, 'seconds': round(times.end, 3)}
    return facts | {'size': size, 'sound': sound}
