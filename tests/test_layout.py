"""The house: a room is a folder, imports go one way, files stay small."""

import ast
import graphlib
import pathlib
import statistics

ROOT = pathlib.Path(__file__).parent.parent
PACKAGE = ROOT / 'reenact_jax'

# A room may import from rooms on earlier lines, and from itself. Where a folder of a room stands on
# a line of its own, it is a room too.
ROOMS = """
common
data
data.shards
geometry
data.batches
media
faces
nets
systems
trust
pretrained
bundle
train
runs
export
reenact
evaluate.estimators
evaluate
configs
data_prep
sweeps
bench
app
commands
""".strip().splitlines()
LEVEL = {room: level for level, room in enumerate(ROOMS)}
COMMANDS = {
    '__main__',
    'provenance',
    'report',
    'shards',
    'summary',
    'to_onnx',
}  # beside the rooms, thin
# Files are opened, renamed and listed by `common.storage`, which knows buckets. These modules speak
# of files that are always of this machine.
OF_THIS_MACHINE = {
    'app': 'folders for uploads and results of the page; examples of the package',
    'bench': 'temporary folders; /proc',
    'bundle': 'local folders without etils; buckets go through storage',
    'common.regular': 'local files that strangers made, without etils',
    'common.shipped': 'config files: modules, shipped or given',
    'common.storage': '',
    'data_prep.extract': 'footage',
    'data_prep.footage': 'footage',
    'data_prep.gather': 'footage',
    'data_prep.layouts': 'footage',
    'data_prep.namings': 'footage',
    'data_prep.openface': 'footage',
    'data_prep.points_csv': 'names in tables',
    'data_prep.stills': 'footage',
    'data_prep.synthetic': 'source files of the package',
    'faces': "the detector's model file, read by MediaPipe",
    'media.certificates': 'keys',
    'media.credentials': 'drafts of results, see storage.drafting',
    'media.kinds': 'what storage.local gives',
    'media.whole': 'what storage.local gives',
    'pretrained': 'files of the package',
    'data_prep.performances': 'files of the package',
    'media.writing': 'drafts of results, see storage.drafting',
    'sweeps.plan': 'table files: modules, shipped or given',
    'train.checkpoints.staging': 'temporary folders',
    'train.presets': 'config files',
    'trust.programs': 'what has passed, in the cache of this machine',
}
FILES = {'pathlib', 'shutil', 'glob'}  # modules that open, rename and list
CALLS = {'open', 'rename', 'replace', 'remove', 'unlink', 'stat', 'listdir', 'scandir', 'walk'}
CALLS |= {'mkdir', 'makedirs', 'isfile', 'isdir', 'exists', 'getsize'}
SAYS_NOTHING = {'utils', 'util', 'misc', 'helpers', 'tools', 'core', 'base'}


def _module(path: pathlib.Path) -> str:
    parts = path.relative_to(ROOT).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


# Links are followed by hand: before Python 3.13 `rglob` leaves out what lies behind them.
FOLDERS = PACKAGE, PACKAGE / 'configs', PACKAGE / 'data_prep'
MODULES = {_module(path): path for folder in FOLDERS for path in sorted(folder.rglob('*.py'))}


def _room(module: str) -> str | None:
    """The innermost room that a module lies in; None: beside the rooms, or not ours."""
    parts = module.split('.')
    rooms = ('.'.join(parts[1:end]) for end in range(len(parts), 1, -1))
    return next((room for room in rooms if parts[0] == 'reenact_jax' and room in LEVEL), None)


def _imports(tree: ast.AST):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                whole = f'{node.module}.{alias.name}'
                yield whole if whole in MODULES else node.module or ''


def _imported(path: pathlib.Path) -> set[str]:
    return set(_imports(ast.parse(path.read_text())))


def test_every_module_lies_in_a_room():
    for module, path in MODULES.items():
        if module == 'reenact_jax' or _room(module):
            continue
        assert module.partition('.')[2] in COMMANDS, f'{path}: put it into a room'
        assert len(path.read_text().splitlines()) <= 12, f'{path}: a command, its work is in a room'


def test_imports_go_one_way():
    wrong = []
    for module, path in MODULES.items():
        own = _room(module)
        for imported in _imported(path):
            room = _room(imported)
            if own and room and LEVEL[room] > LEVEL[own]:
                wrong.append(f'{module} imports {imported}')
            if imported.split('.')[0] in ('data_prep', 'launch', 'configs', 'tests'):
                wrong.append(f'{module} imports {imported}')
    assert not wrong, wrong


def test_no_module_needs_itself():
    graph = {module: _imported(path) & MODULES.keys() for module, path in MODULES.items()}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the modules


def test_files_are_opened_in_one_place():
    wrong, used = [], set()
    for module, path in MODULES.items():
        found = sorted(_files(ast.parse(path.read_text())))
        own = module.removeprefix('reenact_jax.')
        allowed = [one for one in OF_THIS_MACHINE if own == one or own.startswith(f'{one}.')]
        used.update(allowed if found else ())
        if found and not allowed:
            wrong.append(f'{path}: {", ".join(found)}')
    assert not wrong, wrong
    assert used == set(OF_THIS_MACHINE), 'listed, but opens nothing'


def _files(tree: ast.AST) -> set[str]:
    """What a module uses of the file system itself."""
    found = FILES & {module.split('.')[0] for module in _imports(tree)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        if name == 'open' or (name.startswith('os.') and name.split('.')[-1] in CALLS):
            found.add(name)
    return found


def test_names_say_something_and_files_stay_small():
    for module in MODULES:
        assert not set(module.split('.')) & SAYS_NOTHING, module
    lengths = [len(path.read_text().splitlines()) for path in MODULES.values()]
    assert statistics.median(lengths) < 170


def test_functions_stay_short():
    for path in [*MODULES.values(), *(ROOT / 'launch').rglob('*.py')]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[ast.get_docstring(node) is not None :] or node.body
                lines = first[-1].end_lineno - first[0].lineno + 1
                assert lines <= 45, f'{path}: {node.name} has {lines} lines'


def test_every_room_says_what_it_is():
    for folder in {path.parent for path in MODULES.values()}:
        said = ast.get_docstring(ast.parse((folder / '__init__.py').read_text()))
        assert said, f'{folder}: a docstring in __init__.py'


def test_no_heavy_frameworks_and_no_pickle():
    for folder in ('reenact_jax', 'data_prep', 'launch', 'configs'):
        for path in (ROOT / folder).rglob('*.py'):
            modules = {module.split('.')[0] for module in _imported(path)}
            assert not modules & {'tensorflow', 'torch', 'pickle', 'dill', 'joblib'}, path
