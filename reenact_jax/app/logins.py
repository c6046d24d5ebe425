"""Waits after wrong logins."""

import contextlib
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

from reenact_jax.app.checks import Refused

LONGEST_WAIT = 60.0  # seconds after many wrong logins
_REMEMBERED = 10_000  # addresses with wrong logins


class Logins:
    """Waits after wrong logins, by address: 1 s, then twice as long each time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        """Begin without any; `clock` gives seconds."""
        self._clock = clock
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()  # how many, free from

    def begin(self, address: str) -> None:
        """Count a login as wrong until `right` is called, so that many at once do not pass.

        Raises:
          Refused: the address has to wait.
        """
        who = _network(address)
        count, free = self._wrong.pop(who, (0, 0.0))
        now = self._clock()
        if now < free:
            self._wrong[who] = count, free
            raise Refused(429, f'wait {free - now:.0f} s after a wrong login', free - now)
        self._wrong[who] = count + 1, now + min(2.0 ** min(count, 30), LONGEST_WAIT)
        if len(self._wrong) > _REMEMBERED:
            self._wrong.popitem(last=False)

    def right(self, address: str) -> None:
        """Forget the wrong logins of an address."""
        self._wrong.pop(_network(address), None)


def _network(address: str) -> str:
    """Return whom an address stands for: one of IPv6 for its network of 64 bits."""
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(address).version == 6:
            return str(ipaddress.ip_network(f'{address}/64', strict=False))
    return address
