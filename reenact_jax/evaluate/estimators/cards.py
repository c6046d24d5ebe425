"""An estimator's card: a number without the name of what measured it says little."""

from typing import NamedTuple


class Card(NamedTuple):
    """What measured."""

    measures: str
    name: str
    version: str
    licence: str
    sha256: str  # of the weights; '' where there are none


def table(cards: list[Card]) -> str:
    """The cards as Markdown."""
    lines = [
        '| measures | by | version | licence | sha256 of the weights |',
        '|---|---|---|---|---|',
    ]
    return '\n'.join(lines + ['| ' + ' | '.join(card) + ' |' for card in cards])
