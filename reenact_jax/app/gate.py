"""What stands before the page: who may ask, for what, how much, and how often.

A page on 127.0.0.1 is in reach of every site that its user's browser shows. So a request has to
name this machine (a site that lets its own name point here, DNS rebinding, names itself) and must
not come from another site. Uploads have a quota in total, no address is fetched for anybody, and
wrong logins have to wait.
"""

import contextlib
import json
import os
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any, NamedTuple

from reenact_jax.app import checks
from reenact_jax.app.checks import API, Refused
from reenact_jax.app.logins import Logins

QUOTA = 4_000_000_000  # bytes of uploads and results together
LARGEST_CALL = 1_000_000  # bytes of a request that is no upload
_UPLOADS = (f'{API}/upload', f'{API}/upload/')

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Rules(NamedTuple):
    """What a page allows."""

    folder: Path  # of uploads and results
    names: frozenset[str] = frozenset()  # of this machine, beside localhost and any IP address
    quota: int = QUOTA


class Gate:
    """An ASGI middleware that lets through what `Rules` allow."""

    def __init__(self, app: Any, rules: Rules, logins: Logins | None = None):
        """Stand before an application."""
        self._app, self._rules = app, rules
        self._logins = logins or Logins()
        self._coming = 0  # bytes of the uploads that are on their way

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope['type'] == 'websocket':
            await send({'type': 'websocket.close', 'code': 1008})
        elif scope['type'] != 'http':
            await self._app(scope, receive, send)
        else:
            try:
                await self._pass(scope, receive, send)
            except Refused as refused:
                await _refuse(send, refused)

    async def _pass(self, scope: Any, receive: Receive, send: Send) -> None:
        headers = _headers(scope)
        checks.check_host(headers, self._rules.names)
        checks.check_origin(headers)
        path, send = scope['path'], _guarded(send)
        checks.check_door(path)
        if scope['method'] in ('GET', 'HEAD', 'OPTIONS'):
            await self._app(scope, receive, send)
        elif path in _UPLOADS:
            with self._room(headers):
                await self._app(scope, receive, send)
        else:
            receive = await _read(receive)
            if path.rstrip('/') == '/login':
                send = self._login(scope, send)
            await self._app(scope, receive, send)

    def _login(self, scope: Any, send: Send) -> Send:
        address = (scope.get('client') or ('',))[0]
        self._logins.begin(address)

        async def watched(message: Message) -> None:
            if message['type'] == 'http.response.start' and message['status'] < 400:
                self._logins.right(address)
            await send(message)

        return watched

    @contextlib.contextmanager
    def _room(self, headers: dict[str, str]) -> Iterator[None]:
        """Keep room for an upload while it comes."""
        length = headers.get('content-length', '')
        if not length.isdecimal():
            raise Refused(411, 'an upload has to say how long it is')
        size = int(length)
        if size + self._coming + _held(self._rules.folder) > self._rules.quota:
            mb = self._rules.quota // 1_000_000
            raise Refused(413, f'uploads and results take {mb} MB already; files go after an hour')
        self._coming += size
        try:
            yield
        finally:
            self._coming -= size


def _headers(scope: Any) -> dict[str, str]:
    """Return the headers; one that is there twice is joined, and so matches nothing."""
    found: dict[str, str] = {}
    for raw, content in scope['headers']:
        name, value = raw.decode('latin1').lower(), content.decode('latin1')
        found[name] = f'{found[name]}, {value}' if name in found else value
    return found


def _held(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(where, name)).st_size
    return total


async def _read(receive: Receive) -> Receive:
    """Read and check the body of a call; return what hands it on."""
    body, more = b'', True
    while more:
        message = await receive()
        if message['type'] == 'http.disconnect':
            raise Refused(400, 'it breaks off')
        body += message.get('body', b'')
        more = message.get('more_body', False)
        if len(body) > LARGEST_CALL:
            raise Refused(413, f'more than {LARGEST_CALL:,} bytes')
    with contextlib.suppress(ValueError, RecursionError):
        checks.check_call(json.loads(body))
    kept: list[Message] = [{'type': 'http.request', 'body': body, 'more_body': False}]

    async def given() -> Message:
        return kept.pop() if kept else await receive()

    return given


def _guarded(send: Send) -> Send:
    """Say to browsers that no other site may show or use an answer."""

    async def sent(message: Message) -> None:
        if message['type'] == 'http.response.start':
            more = (b'x-frame-options', b'DENY'), (b'cross-origin-resource-policy', b'same-origin')
            message['headers'] = [*message.get('headers', ()), *more]
        await send(message)

    return sent


async def _refuse(send: Send, refused: Refused) -> None:
    body = json.dumps({'detail': refused.reason, 'error': refused.reason}).encode()
    headers = [(b'content-type', b'application/json'), (b'connection', b'close')]
    if refused.wait:
        headers.append((b'retry-after', str(int(refused.wait) + 1).encode()))
    await send({'type': 'http.response.start', 'status': refused.status, 'headers': headers})
    await send({'type': 'http.response.body', 'body': body})
