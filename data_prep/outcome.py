"""The report on the inputs: one line for each."""

import dataclasses
import json
from collections.abc import Mapping, Sequence

from reenact_jax.common import storage


@dataclasses.dataclass
class Outcome:
    """A line of the report: what an input gave."""

    file: str
    status: str = 'ok'  # ok | no face | no track | broken | crashed | unused
    frames: int = 0  # frames read
    frames_with_face: int = 0  # among those that were searched
    frames_searched: int = 0
    tracks: int = 0  # faces followed
    records: int = 0  # records written
    people: list[int] = dataclasses.field(default_factory=list)  # numbers within the input
    rejected: str = ''  # reasons, each with how often it applied
    detail: str = ''


def table(outcomes: Sequence[Outcome]) -> str:
    """Write the report as tab-separated text, one line for each input."""
    columns = [field.name for field in dataclasses.fields(Outcome)]
    rows = [
        [str(getattr(o, c)).replace('\t', ' ').replace('\n', ' ') for c in columns]
        for o in outcomes
    ]
    return ''.join('\t'.join(row) + '\n' for row in [columns, *rows])


def finish(target: str, outcome: Outcome, people: Sequence[int], rejected: Mapping) -> Outcome:
    """Complete an input's report when `extract` has written its records, and store it.

    Args:
      target: path of the records; the report gets the suffix .json.
      outcome: the report so far.
      people: number of the person in each record.
      rejected: reason -> how often it applied.

    Returns:
      The completed report.
    """
    outcome.records, outcome.people = len(people), sorted(set(people))
    outcome.rejected = ', '.join(f'{reason}: {count}' for reason, count in rejected.items())
    if outcome.status == 'ok' and not people:
        outcome.status = 'no track' if outcome.tracks else 'no face'
    storage.write(f'{target}.json', json.dumps(dataclasses.asdict(outcome)))
    return outcome


def show(outcomes: Sequence[Outcome]) -> None:
    """Print the report in columns."""
    width = max(len(outcome.file) for outcome in outcomes)
    print(
        f'{"file":{width}}  {"status":8}  {"frames":>6} {"face":>11} {"tracks":>6} {"records":>7}'
    )
    for o in outcomes:
        seen = f'{o.frames_with_face}/{o.frames_searched}'
        line = f'{o.file:{width}}  {o.status:8}  {o.frames:6} {seen:>11} {o.tracks:6} {o.records:7}'
        print('  '.join(part for part in (line, o.rejected, o.detail) if part))
    print(f'{sum(o.records for o in outcomes)} records of {len(outcomes)} inputs')
