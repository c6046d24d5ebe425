"""Results of films on disk: frame for frame, as long as both the film and its driver go on."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from reenact_jax.common import storage
from reenact_jax.geometry import crops, frames, layouts
from reenact_jax.media import measuring, sheets, timeline
from reenact_jax.media.timeline import TICK
from reenact_jax.reenact import drivers, driving, films, regions
from reenact_jax.reenact.animation import Animation, Shots
from reenact_jax.reenact.drivers import Driver
from reenact_jax.reenact.films import Film, Paired, Shown
from reenact_jax.reenact.output import Output

_OVER = object()


class Result:
    """The frames of a film with the driver's expression.

    Attributes:
      without: times of the frames that have no face and stay as they are, seconds.
    """

    def __init__(self, animation: Animation):
        """Begin before the first frame.

        Args:
          animation: whose source is the portrait of the film's first face.
        """
        self._animation, self._squares = animation, films.Squares()
        self._layout = layouts.layout(animation.bundle.points)
        self._weights = regions.weights(self._layout, animation.options.amount)
        self._reference = frames.of_face(animation.source.known)
        self.without: list[float] = []

    def frame(self, shown: Shown, moved: Float[np.ndarray, 'n 3']):
        """Return the next frame; and crops of its source, its landmarks and itself, or None.

        Args:
          shown: the frame of the film.
          moved: the landmarks of its first face with the driver's expression.
        """
        bundle = self._animation.bundle
        if shown.face is None:
            self.without.append(round(shown.begin, 3))
            return shown.image, None, None, None
        square = self._squares(shown)
        source = films.portrait(shown, square, bundle.size)
        own = frames.of_face(source.known)
        points = films.replaced(own, self._reference, moved, self._layout, self._weights)
        points = np.asarray(self._animation.edited(points[None]))[0]
        image = films.draw(bundle, shown, square, source, points)
        window = float(square.left), float(square.top), float(square.side)
        crop = crops.crop(image, window, drivers.SHOWN)
        drawing = sheets.drawing(points[:, :2], bundle.size, bundle.points)
        return image, source.shown(drivers.SHOWN), drawing, crop


def record(animation: Animation, film: Film, driver: Driver, output: Output) -> dict:
    """Write a film with the driver's expression.

    Args:
      animation: whose source is the portrait of the film's first face.
      film: read once.
      driver: read once; it brings the picture of every frame where the sheet or `side_by_side`
        shows it.
      output: where to write.

    Returns:
      As `recording.record`, and 'without_face': times of the film's frames that stay as they are;
      'ends': [seconds of the film, of the driver] where these differ by more than a frame, or None.
    """
    read = driving.read(driver, animation.source, animation.options)
    times, result = film.reader.timeline, Result(animation)
    stays = driver.count == 1
    begins = times.times[stays | (times.times + TICK < driver.times.end)]
    paired, held, rows = Paired(read, begins, stays), 0, {}
    wanted = timeline.spread(begins, output.rows if output.sheet else 0)
    pairs = zip(film.frames(), _moved(animation, paired), strict=False)
    bar = tqdm(pairs, total=len(begins), unit='frame', desc=storage.path(output.path).name)

    def made() -> Iterator[tuple]:
        nonlocal held
        for number, (shown, (points, is_held)) in enumerate(bar):
            image, *crop = result.frame(shown, points)
            picture = _picture(read.pictures, paired.numbers[number])
            if number in wanted:
                rows[shown.begin] = crop[0], picture, *crop[1:]
            beside = output.side_by_side
            held += is_held
            image = sheets.side_by_side(crop[0], picture, image) if beside else image
            yield image, shown.begin, shown.end

    output.save(made(), times.mean, len(begins), driver.sound, times.rate is None)
    output.write_sheet(rows)
    facts = measuring.measured(output.path)
    summary = {'out': output.path, 'sheet': output.sheet, **facts} | _ends(film, driver, paired)
    summary |= {'sound': facts['sound'] is not None, 'held': held, 'reference': read.number}
    summary |= {'unused': {**film.reader.unused, **driver.unused}, 'start': read.fault}
    summary |= {'without_face': result.without, **driver.report()}
    return summary | {'transfer': animation.bundle.transfer_name, 'motion': 'film'}


def _moved(animation: Animation, paired: Paired) -> Iterator[tuple[Float[np.ndarray, 'n 3'], bool]]:
    """Give the first face's landmarks with the driver's expression, and whether they are held."""
    shots = Shots(paired.shots, paired.driving.shots.starts)
    for points, held in animation.landmarks(iter(paired), paired.driving.start, shots):
        yield from zip(points, held, strict=False)  # a batch may be padded


def _picture(pictures: dict, number: int):
    """Return the picture of a driver's frame, and forget those before it."""
    for old in [one for one in pictures if one < number]:
        del pictures[old]
    return pictures.get(number)


def _ends(film: Film, driver: Driver, paired: Paired) -> dict:
    """Say which of film and driver ended first, and what was broken in those that were read."""
    film_over, driver_over = (
        next(rest, _OVER) is _OVER for rest in (film.frames(), paired.driving.faces)
    )
    ends = round(film.reader.timeline.end, 3), round(driver.times.end, 3)
    frame = 1.5 / float(film.reader.timeline.mean)
    faults = [f'{film.path}: {fault}'] if film_over and (fault := film.reader.fault()) else []
    faults += [fault] if driver_over and (fault := driver.fault()) else []
    apart = not paired.stays and abs(ends[0] - ends[1]) > frame
    return {'ends': list(ends) if apart else None, 'fault': '; '.join(faults) or None}
