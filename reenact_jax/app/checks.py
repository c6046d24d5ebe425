"""Whether a request is let through: whom it asks, who asks, and for what."""

import contextlib
import ipaddress
import re
import socket
from typing import Any

API = '/gradio_api'
# Doors of Gradio's that this page has no use for: they fetch, record, list, or run what is sent.
_SHUT = (
    *('proxy=', 'process_recording', 'component_server', 'vibe', 'run-history', 'runs', 'call'),
    *('run/', 'api/', 'stream'),
)
_URL = re.compile(r'\s*[a-z][a-z0-9+.-]*:/', re.IGNORECASE)


class Refused(Exception):
    """A request is not answered: HTTP's status, the reason, seconds to wait."""

    def __init__(self, status: int, reason: str, wait: float = 0.0):
        super().__init__(reason)
        self.status, self.reason, self.wait = status, reason, wait


def check_host(headers: dict[str, str], names: frozenset[str] = frozenset()) -> None:
    """Let pass who asks for this machine.

    IP addresses pass: a name that somebody points here does not become one.

    Raises:
      Refused: the name is another's.
    """
    name = _name(headers.get('host', ''))
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(name)
        return
    if name != 'localhost' and name not in names:
        raise Refused(403, 'this page has another name; --allow-host NAME admits one')


def check_origin(headers: dict[str, str]) -> None:
    """Let pass who comes from the page itself, or from no page at all.

    A link from elsewhere that opens the page is followed; a frame, a picture or a script is not.

    Raises:
      Refused: another site asks.
    """
    origin = headers.get('origin')
    if origin is not None:
        scheme, _, place = origin.partition('://')
        port = {'http': ':80', 'https': ':443'}.get(scheme, '')
        own = headers.get('host', '').lower().removesuffix(port)
        if not port or place.lower().removesuffix(port) != own:
            raise Refused(403, 'another site asks')
    if headers.get('sec-fetch-site', 'none') not in ('none', 'same-origin'):
        follows = headers.get('sec-fetch-mode'), headers.get('sec-fetch-dest')
        if follows != ('navigate', 'document'):
            raise Refused(403, 'another site asks')


def check_door(path: str) -> None:
    """Keep shut what the page does not need.

    Raises:
      Refused: it is such a path, or one that makes this machine fetch an address.
    """
    if path.startswith('/monitoring'):
        raise Refused(404, 'no such page')
    rest = path.removeprefix(f'{API}/')
    if rest != path and (rest.startswith(_SHUT) or _URL.match(rest.partition('file=')[2])):
        raise Refused(403, 'not of this page')


def check_call(value: Any) -> None:
    """Refuse addresses that would be fetched in what a request hands over.

    What stands under 'url' is for the browser: this machine reads the file under 'path'.

    Raises:
      Refused: there is one.
    """
    if isinstance(value, str) and _URL.match(value):
        raise Refused(403, 'no address is fetched; upload the file')
    if isinstance(value, dict):
        for name, inner in value.items():
            if name != 'url':
                check_call(inner)
    elif isinstance(value, list):
        for inner in value:
            check_call(inner)


def names_of(host: str, more: list[str]) -> frozenset[str]:
    """Return the names that a page on this host answers to.

    Args:
      host: address or name that it is served at.
      more: other names, as of a proxy before it.
    """
    own = [] if host in ('127.0.0.1', '::1', 'localhost') else [host, socket.gethostname()]
    return frozenset(_name(name) for name in (*own, *more))


def _name(host: str) -> str:
    """Return what is left of a Host header without its port, in lower case."""
    if host.startswith('['):
        return host[1:].partition(']')[0]
    return host.partition(':')[0].rstrip('.').lower()
