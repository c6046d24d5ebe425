"""Who may use the page: other sites, other names, too much, too often; a browser tries as well."""

import asyncio
import fcntl
import functools
import http.client
import http.server
import json
import os
import tempfile
import threading
import urllib.parse

import pytest
from bundles import drawing_model, shifting_model
from test_app import CHROMIUM

from reenact_jax.app import checks, command, gate, scratch
from reenact_jax.app.checks import Refused
from reenact_jax.app.logins import Logins
from reenact_jax.export import command as export

OWN = {'host': 'localhost:7860'}


@pytest.mark.parametrize(
    'host', ['localhost:7860', '127.0.0.1:7860', '[::1]:7860', '192.168.0.7', 'Faces.example']
)
def test_names_of_this_machine_pass(host):
    checks.check_host({'host': host}, checks.names_of('0.0.0.0', ['faces.example']))


@pytest.mark.parametrize(
    'host', ['', 'evil.example:7860', 'localhost.evil.example', '127.0.0.1.nip.io', 'a, localhost']
)
def test_other_names_do_not(host):
    with pytest.raises(Refused, match='another name'):
        checks.check_host({'host': host}, checks.names_of('127.0.0.1', []))


@pytest.mark.parametrize(
    'more',
    [
        {'origin': 'http://evil.example'},
        {'origin': 'null'},
        {'origin': 'http://localhost:3000'},
        {'origin': 'ftp://localhost:7860'},
        {'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image'},
        {'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe'},
    ],
)
def test_other_sites_do_not_pass(more):
    with pytest.raises(Refused, match='another site'):
        checks.check_origin(OWN | more)


@pytest.mark.parametrize(
    'headers',
    [
        OWN,
        OWN | {'origin': 'http://localhost:7860', 'sec-fetch-site': 'same-origin'},
        {'host': 'faces.example', 'origin': 'https://faces.example'},  # behind a proxy
        {'host': 'faces.example', 'origin': 'https://faces.example:443'},
        OWN
        | {
            'sec-fetch-site': 'cross-site',
            'sec-fetch-mode': 'navigate',
            'sec-fetch-dest': 'document',
        },
    ],
)
def test_the_page_itself_and_links_pass(headers):
    checks.check_origin(headers)


@pytest.mark.parametrize(
    'path',
    ['proxy=https://a.hf.space/x', 'file=http://169.254.169.254/', 'file=HTTPS://a', 'call/x',
     'process_recording', 'component_server', 'run/predict', 'vibe-edit/'],
)  # fmt: skip
def test_doors_that_nobody_needs_are_shut(path):
    with pytest.raises(Refused, match='not of this page'):
        checks.check_door(f'/gradio_api/{path}')
    checks.check_door('/gradio_api/file=/tmp/x/picture.png')


def test_no_address_is_fetched():
    own = {'path': '/tmp/a.png', 'url': 'http://localhost:7860/gradio_api/file=/tmp/a.png'}
    checks.check_call({'data': [own, 0.5, None, 'relative']})
    for bad in ('http://10.0.0.1/a.png', ' HTTPS://a/b', 'file:///etc/passwd'):
        with pytest.raises(Refused, match='upload the file'):
            checks.check_call({'data': [own | {'path': bad}]})


def test_wrong_logins_wait_longer_and_longer():
    now = [0.0]
    logins = Logins(lambda: now[0])
    waits = []
    for _ in range(8):
        logins.begin('10.0.0.1')
        with pytest.raises(Refused, match='wait') as refused:
            logins.begin('10.0.0.1')
        waits.append(refused.value.wait)
        logins.begin('10.0.0.2')  # others do not wait
        logins.right('10.0.0.2')
        now[0] += waits[-1]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    logins.begin('10.0.0.1')
    logins.right('10.0.0.1')
    logins.begin('10.0.0.1')
    logins.begin('2001:db8::1')
    with pytest.raises(Refused):
        logins.begin('2001:db8::2')  # of the same network


def ask(rules, path, body=b'', headers=(), method='POST') -> tuple[int, list]:
    """Send a request through the gate; return the status and what reached the page."""
    reached, answers = [], []

    async def page(scope, receive, send):
        reached.append((await receive()).get('body'))
        await send({'type': 'http.response.start', 'status': 200, 'headers': []})
        await send({'type': 'http.response.body', 'body': b''})

    async def receive():
        return {'type': 'http.request', 'body': body, 'more_body': False}

    async def send(message):
        answers.append(message)

    names = {'host': 'localhost', 'content-length': str(len(body))} | dict(headers)
    pairs = [(name.encode(), value.encode()) for name, value in names.items() if value]
    scope = dict(type='http', path=path, method=method, headers=pairs, client=('10.0.0.1', 1))
    asyncio.run(gate.Gate(page, rules)(scope, receive, send))
    return answers[0]['status'], reached


def test_uploads_have_a_quota_in_total(tmp_path):
    rules = gate.Rules(tmp_path, quota=1000)
    (tmp_path / 'uploads').mkdir()
    (tmp_path / 'uploads/a').write_bytes(bytes(600))
    assert ask(rules, '/gradio_api/upload', bytes(400)) == (200, [bytes(400)])
    assert ask(rules, '/gradio_api/upload', bytes(401)) == (413, [])
    assert ask(rules, '/gradio_api/upload', bytes(4), {'content-length': ''}) == (411, [])
    assert ask(rules, '/gradio_api/queue/join', bytes(gate.LARGEST_CALL + 1)) == (413, [])


def test_calls_are_read_before_they_pass(tmp_path):
    rules, path = gate.Rules(tmp_path), '/gradio_api/queue/join'
    good = json.dumps({'data': [1]}).encode()
    assert ask(rules, path, good) == (200, [good])
    bad = json.dumps({'data': [{'path': 'http://a/b'}]})
    for encoding in ('utf-8', 'utf-16'):
        assert ask(rules, path, bad.encode(encoding)) == (403, [])
    assert ask(rules, path, good, {'host': 'evil.example'}) == (403, [])


def test_folders_of_pages_that_were_killed_are_swept(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    places = {}
    for name in ('dead', 'living', 'young'):
        places[name] = tmp_path / f'{scratch.PREFIX}{name}'
        places[name].mkdir()
        (places[name] / 'face.png').write_bytes(b'x')
        if name != 'young':
            os.utime(places[name], (0, 0))
    (tmp_path / f'{scratch.PREFIX}link').symlink_to(places['young'])
    lock = os.open(places['living'], os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with scratch.folder() as folder:
        assert not places['dead'].exists()
        assert places['living'].exists() and (places['young'] / 'face.png').exists()
        os.utime(folder, (0, 0))
        scratch.sweep()
        assert folder.exists()  # its own is locked
    assert not folder.exists()
    os.close(lock)


@pytest.fixture(scope='module')
def address(tmp_path_factory):
    """A served page that asks for a password."""
    pytest.importorskip('gradio', reason='needs the extra [app]')
    folder = tmp_path_factory.mktemp('guarded')
    export.write(folder / 'bundle', drawing_model(), shifting_model())
    kept = dict(os.environ)
    os.environ[command.AUTH] = 'ann:secret'
    args = command.options(['--model', str(folder / 'bundle'), '--port', '0'])
    page, address = command.serve(args, folder / 'served', None)
    yield address
    page.close()
    os.environ.clear()
    os.environ.update(kept)


def test_over_http(address):
    place = urllib.parse.urlsplit(address)

    def request(path, body=None, **headers):
        asked = http.client.HTTPConnection(place.hostname, place.port, timeout=30)
        headers = {name.replace('_', '-'): value for name, value in headers.items()}
        asked.request('GET' if body is None else 'POST', path, body, headers)
        answer = asked.getresponse()
        return answer.status, answer.read(), answer.headers

    status, text, headers = request('/')
    assert status == 200 and b'gradio' in text and headers['X-Frame-Options'] == 'DENY'
    status, text, _ = request('/', Host=f'evil.example:{place.port}')
    assert status == 403 and b'--allow-host' in text and b'gradio' not in text
    form = {'Content-Type': 'application/x-www-form-urlencoded'}
    wrong = dict(body='username=ann&password=guess')
    assert request('/login', **wrong, Origin='http://evil.example', **form)[0] == 403
    assert request('/login', **wrong, **form)[0] == 400
    status, _, headers = request('/login', body='username=ann&password=secret', **form)
    assert status == 429 and int(headers['Retry-After']) >= 1
    assert request('/gradio_api/file=http://127.0.0.1:1/')[0] == 403


@pytest.fixture
def browser():
    """A browser for which the name of another site is pointed at this machine."""
    playwright = pytest.importorskip('playwright.sync_api', reason='needs playwright')
    if CHROMIUM is None:
        pytest.skip('needs Chromium')
    flags = ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-proxy-server']
    flags.append('--host-resolver-rules=MAP evil.example 127.0.0.1')
    with playwright.sync_playwright() as running:
        yield running.chromium.launch(executable_path=CHROMIUM, args=flags)


@pytest.fixture
def other_site(tmp_path):
    """The address of another site, with one empty page."""
    (tmp_path / 'index.html').write_text('<p>another site')
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://evil.example:{server.server_port}/'
        server.shutdown()


def test_a_browser_at_another_site_is_refused(address, browser, other_site, monkeypatch):
    port = urllib.parse.urlsplit(address).port
    answered, check = [], checks.check_origin

    def watched(headers):
        try:
            check(headers)
            answered.append('passed')
        except Refused as refused:
            answered.append(refused.status)
            raise

    monkeypatch.setattr(checks, 'check_origin', watched)
    page = browser.new_page()
    page.goto(other_site)
    asks = """([url, setup]) => fetch(url, setup).then(got => got.text(), () => 'failed')"""
    loads = """url => new Promise(done => { const image = new Image();
        image.onload = () => done(true); image.onerror = () => done(false); image.src = url; })"""
    for site in (f'http://127.0.0.1:{port}', f'http://localhost:{port}'):
        for setup in ({}, {'mode': 'no-cors'}, {'mode': 'no-cors', 'method': 'POST', 'body': 'x'}):
            assert page.evaluate(asks, [f'{site}/login', setup]) in ('', 'failed')
        assert page.evaluate(loads, f'{site}/favicon.ico') is False
    assert answered == 8 * [403]


def test_a_name_that_is_pointed_here_gets_nothing(address, browser):
    """DNS rebinding: the browser takes the page for one of the other site."""
    page, port = browser.new_page(), urllib.parse.urlsplit(address).port
    answer = page.goto(f'http://evil.example:{port}/')
    assert answer.status == 403 and 'another name' in page.content()
    assert page.goto(f'http://localhost:{port}/').status == 200
