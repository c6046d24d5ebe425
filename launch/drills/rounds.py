"""The rounds of a drill: each is kept as a JSON line when it is finished; counts at the end."""

import collections
import json
import pathlib
import time
from collections.abc import Iterator

from tqdm import tqdm

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError


class Rounds:
    """Rounds 0 ... total - 1 of one drill; those that its folder holds are not done again.

    Attributes:
      folder: of the drill, for what its rounds need.
    """

    def __init__(self, folder: pathlib.Path, total: int, sizes: dict, quiet: bool = False):
        """Open the folder.

        Args:
          folder: of the drill.
          total: number of rounds.
          sizes: settings on which the rounds depend.
          quiet: no progress bar.

        Raises:
          UserError: the folder holds rounds of other settings.
        """
        self.folder, self.total, self._quiet = folder, total, quiet
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / 'sizes.json'
        if file.exists() and storage.read_json(file) != sizes:
            raise UserError(
                f'{folder}: holds rounds of other settings ({storage.read_json(file)}, now '
                f'{sizes}); give those, or name another --workdir'
            )
        storage.write_json(file, sizes)
        self._file = folder / 'rounds.jsonl'
        self._done = _whole_lines(self._file)
        self._since = time.perf_counter()

    def left(self) -> Iterator[int]:
        """Iterate over the numbers of the rounds to do, with a progress bar."""
        done = {entry['round'] for entry in self._done}
        numbers = [number for number in range(self.total) if number not in done]
        hidden = True if self._quiet else None  # None: where standard error is no terminal
        bar = tqdm(numbers, self.folder.name, self.total, initial=len(done), disable=hidden)
        self._since = time.perf_counter()
        yield from bar

    def note(self, number: int, seen: str, failures: list[str] = ()) -> None:
        """Keep a finished round.

        Args:
          number: of the round.
          seen: what happened, in words that are counted.
          failures: what went wrong; empty: nothing.
        """
        now = time.perf_counter()
        seconds, self._since = now - self._since, now
        entry = {'round': number, 'seen': seen, 'failures': list(failures), 'seconds': seconds}
        with self._file.open('a') as file:
            file.write(json.dumps(entry) + '\n')
        self._done.append(entry)
        for failure in failures:
            tqdm.write(f'{self.folder.name}, round {number}: {failure}')

    def result(self) -> dict:
        """Sum up as plain values: rounds, how often each thing was seen, failures, minutes."""
        seen = collections.Counter(entry['seen'] for entry in self._done)
        failures = [
            f'round {entry["round"]}: {text}' for entry in self._done for text in entry['failures']
        ]
        minutes = sum(entry['seconds'] for entry in self._done) / 60
        return {
            'rounds': len(self._done),
            'of': self.total,
            'seen': dict(seen.most_common()),
            'failures': failures,
            'minutes': round(minutes, 1),
        }


def _whole_lines(file: pathlib.Path) -> list[dict]:
    """Read the rounds in the file; remove a line that was cut off by an interruption."""
    if not file.exists():
        return []
    lines = file.read_text().splitlines(keepends=True)
    whole = [line for line in lines if line.endswith('\n')]
    storage.write(file, ''.join(whole))
    return [json.loads(line) for line in whole]
