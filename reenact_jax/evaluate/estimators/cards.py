"""An estimator's card: a number says little without the name of what measured it."""

from typing import NamedTuple


class Card(NamedTuple):
    """Which tool measures what: name, version, licence."""

    measures: str
    name: str
    version: str
    licence: str
    sha256: str  # digest of the weights; '' where there are none


def table(cards: list[Card]) -> str:
    """Write the cards as a Markdown table."""
    lines = [
        '| measures | by | version | licence | sha256 of the weights |',
        '|---|---|---|---|---|',
    ]
    return '\n'.join(lines + ['| ' + ' | '.join(card) + ' |' for card in cards])
