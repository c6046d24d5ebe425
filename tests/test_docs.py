"""Check that what the documents name exists: files, folders, modules, links, headings."""

import functools
import pathlib
import re

import pytest

from reenact_jax.commands import COMMANDS
from reenact_jax.media import writing

ROOT = pathlib.Path(__file__).parent.parent
FOLDERS = ('reenact_jax', 'configs', 'data_prep', 'launch', 'tests', 'docs', '.github', '.ci')
PACKAGES = ('reenact_jax', 'configs', 'data_prep', 'launch')
PAGES = sorted(
    [ROOT / name for name in ('README.md', 'CONTRIBUTING.md', 'SECURITY.md')]
    + list((ROOT / 'docs').glob('*.md'))
)
SUFFIXES = ('.py', '.sh', '.toml', '.yml', '.yaml', '.cff', '.md')  # of files in the repository
# What commands read and write, outside the repository.
OUTSIDE = {'out', 'data', 'checkpoints', 'tensorboard', '.venv', 'my_lab', 'report.md', 'table.md'}
TOOLS = {'venv', 'pip', 'pytest', 'build', 'mkdocs'}  # modules of others, after `python -m`

PATH = re.compile(r'[\w.\-*]+(/[\w.\-*]+)*/?')
LINK = re.compile(r'\]\(([^)\s#]*)(#[^)\s]*)?\)|src="([^"]*)"')


@functools.cache
def names() -> frozenset[str]:
    """Return the names of all files of the repository, without their folders."""
    inside = [path.name for folder in FOLDERS for path in (ROOT / folder).rglob('*')]
    return frozenset(inside + [path.name for path in ROOT.iterdir()])


@functools.cache
def slugs(page: pathlib.Path) -> frozenset[str]:
    """Return the anchors of a page's headings, as GitHub and MkDocs make them."""
    prose = re.sub(r'```.*?```', '', page.read_text(), flags=re.S)
    titles = re.findall(r'^#+ (.*)$', prose, flags=re.M)
    return frozenset(re.sub(r'[^\w\- ]', '', title.lower()).replace(' ', '-') for title in titles)


def path_exists(path: str) -> bool:
    """Return whether a path, a pattern or a bare file name is in the repository.

    Paths start at the root or in the library.
    """
    if path.split('/')[0] in OUTSIDE:
        return True
    if '*' in path:
        return any(ROOT.glob(path))
    inside = (ROOT / path).exists() or (ROOT / 'reenact_jax' / path).exists()
    return inside or ('/' not in path and path in names())


def module_exists(dotted: str) -> bool:
    """Return whether a module exists and its source has the names that follow it."""
    parts = dotted.split('.')
    for end in range(len(parts), 0, -1):
        base = ROOT.joinpath(*parts[:end])
        for source in (base.with_suffix('.py'), base / '__init__.py'):
            if source.is_file():
                text = source.read_text()
                return all(re.search(rf'\b{name}\b', text) for name in parts[end:])
    return False


def wrong_words(text: str) -> list[str]:
    """Return paths and modules in backticks and code blocks that do not exist."""
    blocks = re.findall(r'```\w*\n(.*?)```', text, flags=re.S)
    spans = re.findall(r'`([^`\n]+(?:\n[^`\n]+)?)`', re.sub(r'```.*?```', '', text, flags=re.S))
    code = '\n'.join(blocks + spans)
    wrong = [f'python -m {name}' for name in _commands(code)] + _programs(code)
    for span in spans:  # a path by itself may be a folder, or a name without its folder
        path = span.split(':')[0]
        likely = path.endswith(SUFFIXES) or ('/' in path and re.search('[a-z]', path))
        if PATH.fullmatch(path) and likely and not path_exists(path):
            wrong.append(path)
    for word in ' '.join(blocks + spans).split():
        path = re.sub(r'^(--\w[\w.]*=|[\w.]+==?)', '', word.strip('"\'(),')).split(':')[0]
        if PATH.fullmatch(path) and path.endswith(('.py', '.sh')) and not path_exists(path):
            wrong.append(path)
    dotted = re.findall(rf'(?<![\w/.-])(?:{"|".join(PACKAGES)})\.[a-z_]\w*(?:\.\w+)*', text)
    modules = [name for name in dotted if not name.endswith(('.py', '.sh'))]
    return wrong + [name for name in modules if not module_exists(name)]


def _commands(code: str) -> list[str]:
    modules = re.findall(r'(?:python[\d.]*|\$PY) -m ([\w.]+)', code)
    return [
        name
        for name in modules
        if name not in TOOLS
        and not name.split('.')[-1].isupper()
        and not ROOT.joinpath(*name.split('.')).with_suffix('.py').is_file()
        and not ROOT.joinpath(*name.split('.'), '__main__.py').is_file()
    ]


def _programs(code: str) -> list[str]:
    """Return what is called as a part of `reenact-jax` and is none."""
    wrong = []
    for name, part in re.findall(r'reenact-jax ([a-z][a-z-]*)(?: ([a-z]+))?', code):
        known = COMMANDS.get(name)
        if known is None or (isinstance(known, dict) and part and part not in known):
            wrong.append(f'reenact-jax {name} {part}'.strip())
    return wrong


def wrong_links(text: str, page: pathlib.Path) -> list[str]:
    """Return relative links of a page whose file or heading does not exist."""
    wrong = []
    for path, anchor, source in LINK.findall(text):
        path = path or source
        if re.match(r'\w+:', path):
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            wrong.append(path)
        elif anchor and anchor[1:] not in slugs(target):
            wrong.append(path + anchor)
    return wrong


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_what_a_page_names_exists(page):
    text = page.read_text()
    assert not wrong_words(text)
    assert not wrong_links(text, page)


@pytest.mark.parametrize(
    'text',
    [
        '`reenact_jax/sistems/aan/`',
        '`reenact_jaxx/systems/aan/`',
        '`configs/aann.py:small`',
        '`steps.py`',
        '`data_prep.video`',
        '`data_prep.inspect.nothing_of_this_name`',
        '::: reenact_jax.bundle.lod',
        '```\n$PY -m reenact_jax.trian --config configs/aan.py\n```',
        '```\n$PY -m data_prep.videos --config config/aan.py:small\n```',
        '```\nbash launch/tests.sh\n```',
        '```\nreenact-jax trian --config aan\n```',
        '`reenact-jax prepare vidoes`',
        '[results](docs/result.md)',
        '[results](docs/results.md#no-such-heading)',
        '![picture](docs/nothing.jpg)',
        '<img src="docs/nothing.webp">',
    ],
)
def test_a_wrong_name_is_found(text):
    assert wrong_words(text) or wrong_links(text, ROOT / 'README.md')


def test_readme_is_short_and_says_how_to_test():
    text = (ROOT / 'README.md').read_text()
    assert len(text.splitlines()) <= 200
    assert 'bash launch/test.sh' in text


def test_every_page_is_in_the_navigation():
    pages = re.findall(r'^\s*- .*?(\w+\.md)$', (ROOT / 'mkdocs.yml').read_text(), flags=re.M)
    assert sorted(pages) == sorted(path.name for path in (ROOT / 'docs').glob('*.md'))


def test_every_picture_is_marked_as_synthetic():
    folders = ROOT / 'docs', ROOT / 'reenact_jax' / 'pretrained' / 'people'
    pictures = [x for f in folders for x in f.iterdir() if x.suffix in ('.jpg', '.png', '.webp')]
    assert len(pictures) > 8
    assert not [x.name for x in pictures if not writing.is_marked(x)]
