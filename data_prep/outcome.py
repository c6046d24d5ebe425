"""What became of an input: a line of the report."""

import dataclasses
import json
from collections.abc import Mapping, Sequence

from reenact_jax.common import storage


@dataclasses.dataclass
class Outcome:
    """A line of the report."""

    file: str
    status: str = 'ok'  # ok | no face | no track | broken
    frames: int = 0  # read
    frames_with_face: int = 0  # of those that were searched
    frames_searched: int = 0
    tracks: int = 0  # faces followed
    records: int = 0  # written
    people: list[int] = dataclasses.field(default_factory=list)  # numbers within the input
    rejected: str = ''  # reason: how often
    detail: str = ''


def table(outcomes: Sequence[Outcome]) -> str:
    """The report as tab-separated text, a line an input."""
    columns = [field.name for field in dataclasses.fields(Outcome)]
    rows = [
        [str(getattr(o, c)).replace('\t', ' ').replace('\n', ' ') for c in columns]
        for o in outcomes
    ]
    return ''.join('\t'.join(row) + '\n' for row in [columns, *rows])


def finish(target: str, outcome: Outcome, people: Sequence[int], rejected: Mapping) -> Outcome:
    """Completes an input's report by the records that `extract` wrote, and stores it last.

    people: whose each record is; rejected: reason -> how often.
    """
    outcome.records, outcome.people = len(people), sorted(set(people))
    outcome.rejected = ', '.join(f'{why}: {n}' for why, n in rejected.items())
    if outcome.status == 'ok' and not people:
        outcome.status = 'no track' if outcome.tracks else 'no face'
    storage.write(f'{target}.json', json.dumps(dataclasses.asdict(outcome)))
    return outcome


def show(outcomes: Sequence[Outcome]) -> None:
    """Prints the report, in columns."""
    width = max(len(outcome.file) for outcome in outcomes)
    print(
        f'{"file":{width}}  {"status":8}  {"frames":>6} {"face":>11} {"tracks":>6} {"records":>7}'
    )
    for o in outcomes:
        seen = f'{o.frames_with_face}/{o.frames_searched}'
        line = f'{o.file:{width}}  {o.status:8}  {o.frames:6} {seen:>11} {o.tracks:6} {o.records:7}'
        print('  '.join(part for part in (line, o.rejected, o.detail) if part))
    print(f'{sum(o.records for o in outcomes)} records of {len(outcomes)} inputs')
