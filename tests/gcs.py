"""Google Cloud Storage on this machine, in memory: the calls that gcsfs and TensorStore make.

    with gcs.serving() as server:
        ...                       # gs://any-bucket/... is there, in this process and its children
        server.requests           # Counter: read, stat, list, write, delete, move

Buckets exist without being made. The server sleeps `server.delay` seconds before each answer. There
are no credentials, and no conditions but generations; as in the real one, no folder is renamed in
one step.
"""

import base64
import collections
import contextlib
import hashlib
import importlib.util
import json
import os
import re
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import google_crc32c
import pytest

OBJECT = re.compile(r'(?:/download|/upload)?/storage/v1/b/([^/]+)/o(?:/(.*))?')
VARIABLES = ('STORAGE_EMULATOR_HOST', 'TENSORSTORE_GCS_HTTP_URL')


class Server(ThreadingHTTPServer):
    """The server: its objects and the requests so far."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self):
        super().__init__(('127.0.0.1', 0), Handler)
        self.objects: dict[tuple[str, str], tuple[bytes, int]] = {}
        self.requests: collections.Counter = collections.Counter()
        self.log: list[str] = []
        self.uploads: dict[str, list] = {}
        self.lock, self.delay = threading.RLock(), 0.0
        self.flying = self.most_flying = self._generation = 0

    def handle_error(self, *_):
        """Ignore errors: gcsfs hangs up on a question that is answered already."""

    def put(self, key: tuple[str, str], content: bytes) -> dict:
        """Make or replace an object; return its resource."""
        self._generation += 1
        self.objects[key] = content, self._generation
        return self.resource(key)

    def resource(self, key: tuple[str, str]) -> dict:
        """Describe an object as the JSON API does."""
        content, generation = self.objects[key]
        stamp = '2026-01-01T00:00:00.000Z'
        return {
            'kind': 'storage#object', 'bucket': key[0], 'name': key[1], 'size': str(len(content)),
            'generation': str(generation), 'metageneration': '1', 'updated': stamp,
            'timeCreated': stamp, 'etag': str(generation), 'contentType': 'application/binary',
            'md5Hash': base64.b64encode(hashlib.md5(content).digest()).decode(),
            'crc32c': base64.b64encode(google_crc32c.value(content).to_bytes(4, 'big')).decode(),
        }  # fmt: skip

    def names(self, bucket: str = 'bucket', prefix: str = '') -> list[str]:
        """List the names of the objects in a bucket."""
        return sorted(n for b, n in self.objects if b == bucket and n.startswith(prefix))


class Handler(BaseHTTPRequestHandler):
    """One connection; answers are counted by kind."""

    protocol_version = 'HTTP/1.1'
    disable_nagle_algorithm = True

    def do_GET(self):
        bucket, name, query = self._asked()
        if name is None and bucket is None:
            return self._answer('bucket', {'kind': 'storage#bucket', 'name': 'bucket'})
        if name is None:
            return self._list(bucket, query)
        with self.server.lock:
            entry = self.server.objects.get((bucket, name))
            resource = entry and self.server.resource((bucket, name))
        media = query.get('alt') == 'media'
        if entry is None:
            return self._answer('read' if media else 'stat', {}, 404)
        if not media:
            return self._answer('stat', resource)
        if query.get('ifGenerationNotMatch') == resource['generation']:
            return self._answer('read', b'', 304)
        return self._content(entry[0], resource)

    def do_POST(self):
        bucket, name, query = self._asked()
        body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
        if 'upload_id' in query:
            return self._chunk(query['upload_id'], body)
        if self.path.startswith('/upload/'):
            return self._upload(bucket, query, body)
        if match := re.fullmatch(r'(.*)/(moveTo|rewriteTo/b/([^/]+))/o/(.*)', name):
            source, target = (bucket, match[1]), (match[3] or bucket, match[4])
            return self._move(source, target, keep=match[3] is not None)
        return self._answer('unknown', {}, 400)

    do_PUT = do_POST

    def do_DELETE(self):
        bucket, name, _ = self._asked()
        with self.server.lock:
            gone = self.server.objects.pop((bucket, name), None)
        self._answer('delete', b'', 204 if gone else 404)

    def _asked(self):
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        match = OBJECT.fullmatch(parts.path)
        if match is None:
            return None, None, query
        unquote = urllib.parse.unquote
        return match[1], unquote(match[2]) if match[2] else None, query

    def _list(self, bucket: str, query: dict) -> None:
        prefix, delimiter = query.get('prefix', ''), query.get('delimiter')
        with self.server.lock:
            names = self.server.names(bucket, prefix)
            folders = set()
            if delimiter:
                below = {n: n.find(delimiter, len(prefix)) for n in names}
                folders = {n[: end + 1] for n, end in below.items() if end >= 0}
                names = [n for n in names if below[n] < 0]
            start, end = query.get('startOffset', ''), query.get('endOffset', '\U0010ffff')
            items = [self.server.resource((bucket, n)) for n in names if start <= n < end]
        most = int(query.get('maxResults') or 1000)
        begin = int(query.get('pageToken') or 0)
        answer = {'items': items[begin : begin + most], 'prefixes': sorted(folders)}
        if begin + most < len(items):
            answer['nextPageToken'] = str(begin + most)
        self._answer('list', {'kind': 'storage#objects', **answer})

    def _content(self, content: bytes, about: dict) -> None:
        extra = {'x-goog-generation': about['generation'], 'ETag': about['etag']}
        extra['x-goog-hash'] = f'crc32c={about["crc32c"]},md5={about["md5Hash"]}'
        asked = re.fullmatch(r'bytes=(\d+)-(\d*)', self.headers.get('Range') or '')
        if not asked:
            return self._answer('read', content, 200, extra)
        first, last = int(asked[1]), min(int(asked[2] or len(content)), len(content) - 1)
        if first >= len(content):
            return self._answer('read', b'The requested range cannot be satisfied.', 416)
        extra['Content-Range'] = f'bytes {first}-{last}/{len(content)}'
        return self._answer('read', content[first : last + 1], 206, extra)

    def _upload(self, bucket: str, query: dict, body: bytes) -> None:
        if query['uploadType'] == 'resumable':
            name = query.get('name') or json.loads(body)['name']
            number = str(len(self.server.uploads))
            self.server.uploads[number] = [bucket, name, b'']
            host = f'http://{self.headers["Host"]}/upload/storage/v1/b/{bucket}/o'
            return self._answer('write', {}, 200, {'Location': f'{host}?upload_id={number}'})
        name = query.get('name')
        if query['uploadType'] == 'multipart':
            mark = re.search(r'boundary="?([^";]+)', self.headers['Content-Type'])[1].encode()
            _, about, rest = body.split(b'--' + mark, 2)
            name = json.loads(re.split(rb'\r?\n\r?\n', about, maxsplit=1)[1])['name']
            rest = re.split(rb'\r?\n\r?\n', rest, maxsplit=1)[1]
            body = re.sub(rb'\r?\n\Z', b'', rest[: rest.rindex(b'--' + mark)])
        with self.server.lock:
            now = str(self.server.objects.get((bucket, name), (b'', 0))[1])
            if query.get('ifGenerationMatch', now) != now:
                return self._answer('write', {}, 412)
            about = self.server.put((bucket, name), body)
        return self._answer('write', about)

    def _chunk(self, number: str, body: bytes) -> None:
        upload, given = self.server.uploads[number], self.headers.get('Content-Range', '')
        upload[2] += body
        total = given.rpartition('/')[2]
        if total in ('', '*') or len(upload[2]) < int(total):
            return self._answer('write', b'', 308, {'Range': f'bytes=0-{len(upload[2]) - 1}'})
        with self.server.lock:
            about = self.server.put((upload[0], upload[1]), upload[2])
        return self._answer('write', about)

    def _move(self, source: tuple, target: tuple, keep: bool) -> None:
        with self.server.lock:
            if source not in self.server.objects:
                return self._answer('move', {}, 404)
            about = self.server.put(target, self.server.objects[source][0])
            if not keep:
                del self.server.objects[source]
        return self._answer('move', {'done': True, 'resource': about} if keep else about)

    def _answer(self, what: str, content, status: int = 200, extra: dict | None = None) -> None:
        server = self.server
        with server.lock:
            server.requests[what] += 1
            server.log.append(f'{what} {self.command} {urllib.parse.unquote(self.path)} {status}')
            server.flying += 1
            server.most_flying = max(server.flying, server.most_flying)
        time.sleep(server.delay)
        with server.lock:
            server.flying -= 1
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        bare = status in (204, 304)
        with contextlib.suppress(OSError):  # gcsfs hangs up on a question that is answered already
            self.send_response(status)
            for key, value in (extra or {}).items():
                self.send_header(key, value)
            if not bare:
                self.send_header('Content-Length', str(len(body)))
            self.end_headers()
            self.wfile.write(b'' if bare else body)

    def log_message(self, *_):
        """Print nothing."""


@contextlib.contextmanager
def serving():
    """Start a server and point gcsfs and TensorStore to it; skip the test without gcsfs."""
    if importlib.util.find_spec('gcsfs') is None:  # not yet imported: it reads the environment
        pytest.skip('gs:// needs gcsfs: pip install -e .[gcs]')
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with pytest.MonkeyPatch.context() as patch:
        for variable in VARIABLES:
            patch.setenv(variable, f'http://127.0.0.1:{server.server_port}')
        # Else gcsfs asks over gRPC for the bucket's kind.
        patch.setenv('GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT', 'false')
        patch.setenv('no_proxy', ','.join(filter(None, [os.environ.get('no_proxy'), '127.0.0.1'])))
        try:
            yield server
        finally:
            server.shutdown()
            server.server_close()
