"""Malicious checkpoints raise one error: no code runs, and memory is neither misread nor exhausted.

The files are read in a separate process with little memory to detect crashes and bombs.
"""

import io
import json
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from axialvs.checkpoints.loading import (
    CheckpointError,
    category_ids_of,
    load_checkpoint_safely,
)

READ_ALL = """
import json, resource, sys
import torch
from axialvs.checkpoints.loading import (
    CheckpointError,
    category_ids_of,
    load_checkpoint_safely,
)
import mmengine.logging
used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (256 << 20),) * 2)
outcomes = {}
for path in sys.argv[1:]:
    try:
        outcomes[path] = repr(load_checkpoint_safely(path))[:2000]
    except CheckpointError as error:
        outcomes[path] = type(error).__name__
    print(json.dumps(outcomes), flush=True)
"""


class Call:
    """An object pickled as a call and an optional state."""

    def __init__(self, function, *arguments, state=None) -> None:
        self.parts = function, arguments, state

    def __reduce__(self):
        return self.parts


class Name:
    """An object pickled as the global of this name, which need not exist."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class Pickler(pickle._Pickler):
    """A pickler that writes `Name`, arbitrary calls, and tensor storages as torch does."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save(self, value, save_persistent_id=True):
        if isinstance(value, Name):
            self.write(pickle.GLOBAL + f'{value.module}\n{value.name}\n'.encode())
        elif isinstance(value, Call):
            function, arguments, state = value.parts
            self.save(function)
            self.save(arguments)
            self.write(pickle.REDUCE)
            if state is not None:
                self.save(state)
                self.write(pickle.BUILD)
        elif isinstance(value, Storage):
            self.save(value.key)
            self.write(pickle.BINPERSID)
        else:
            super().save(value, save_persistent_id)


class Storage:
    def __init__(self, numel: int, name: str = '0', kind: str = 'FloatStorage') -> None:
        self.key = ('storage', Name('torch', kind), name, 'cpu', numel)


def pickled(content) -> bytes:
    buffer = io.BytesIO()
    Pickler(buffer, protocol=2).dump(content)
    return buffer.getvalue()


def archive(path, content, storages=None, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, 'w', compression) as file:
        file.writestr('x/data.pkl', content if isinstance(content, bytes) else pickled(content))
        for name, data in (storages or {}).items():
            file.writestr(f'x/data/{name}', data)
        file.writestr('x/version', '3\n')
    return path


def dtype(name: str, state=None) -> Call:
    return Call(Name('numpy', 'dtype'), name, False, True, state=state)


def array(shape, kind, data) -> Call:
    start = Name('numpy', 'ndarray'), (0,), b'b'
    state = (1, shape, kind, False, data)
    return Call(Name('numpy._core.multiarray', '_reconstruct'), *start, state=state)


EMPTY = Call(Name('collections', 'OrderedDict'))


def tensor(size, stride, numel: int, offset: int = 0) -> Call:
    function = Name('torch._utils', '_rebuild_tensor_v2')
    return Call(
        function,
        Storage(numel),
        offset,
        size,
        stride,
        False,
        Call(Name('collections', 'OrderedDict')),
    )


def nested(depth: int = 45) -> tuple:
    """Return a tuple that doubles with every level; its repr and hash take forever."""
    value: tuple = ()
    for _ in range(depth):
        value = value, value
    return value


def keyed(key: bytes, start: bytes = b'}', end: bytes = b'K\x01s') -> bytes:
    """Return a dict with this key, which is written as opcodes."""
    return b'\x80\x02' + start + key + end + b'.'


NESTED = pickled(nested())[2:-1]
SAME_HASHES = b''.join(
    b'\x8a\x10' + (k * ((1 << 61) - 1)).to_bytes(16, 'little') + b'N' for k in range(1, 100_000)
)
WIDE = tensor((2_000_000_000, 2), (0, 0), 4)
FLOATS = {'0': struct.pack('4f', 1, 2, 3, 4)}
SCALAR = Name('numpy._core.multiarray', 'scalar')
# Name -> content of data.pkl, all with a storage of four floats.
CONTENTS = {
    'ndarray of a pointer': Call(Name('numpy', 'ndarray'), (1,), 'O', b'AAAAAAAA'),
    'ndarray of numbers': Call(Name('numpy', 'ndarray'), (1,), 'f8', b'AAAAAAAA'),
    'reconstruct objects': array((1,), dtype('O8'), [1]),
    'reconstruct long objects': array((1 << 20,), dtype('O8'), [1]),
    'reconstruct pointer bytes': array((1,), dtype('O8'), b'AAAAAAAA'),
    'reconstruct strings': array((1,), dtype('S8'), b'AAAAAAAA'),
    'structured type': array((1,), dtype([('a', 'O')]), b'AAAAAAAA'),
    'type with other item size': array(
        (1,), dtype('S4', state=(3, '|', None, None, None, 65536, 1, 0)), b'AAAA'
    ),
    'type with fields': array(
        (1,), dtype('f8', state=(3, '|', None, ('a',), {'a': (1, 2)}, 65536, 1, 0)), b'A' * 65536
    ),
    'array longer than its bytes': array((1 << 40,), dtype('f8'), b'AAAAAAAA'),
    'array of negative size': array((-1, -1), dtype('f8'), b'AAAAAAAA'),
    'array of true': array((True,), dtype('f8'), b'AAAAAAAA'),
    'array of an odd number of bytes': array((1,), dtype('f8'), b'AAA'),
    'array without a state': Call(
        Name('numpy._core.multiarray', '_reconstruct'), Name('numpy', 'ndarray'), (0,), b'b'
    ),
    'scalar of an object': Call(SCALAR, dtype('O8'), b'AAAAAAAA'),
    'scalar of few bytes': Call(SCALAR, dtype('f8'), b'A'),
    'scalar of a string': Call(SCALAR, dtype('S4'), b'AAAA'),
    'type as a value': dtype('f8'),
    'function as a value': Name('torch._utils', '_rebuild_tensor_v2'),
    'state of a slice': Call(Name('builtins', 'slice'), 1, state={'__class__': 1}),
    'storage larger than its record': tensor((1 << 20,), (1,), 1 << 20),
    'tensor larger than its storage': tensor((1 << 20,), (1,), 4),
    'tensor behind its storage': tensor((2,), (1,), 4, offset=3),
    'tensor before its storage': tensor((2,), (1,), 4, offset=-1),
    'tensor with steps backwards': tensor((2,), (-1,), 4, offset=1),
    'tensor that repeats one number': tensor((1 << 20, 1 << 20), (0, 0), 4),
    'tensor of negative size': tensor((-1,), (1,), 4),
    'tensor of many dimensions': tensor((1,) * 5000, (1,) * 5000, 4),
    'tensor of overflowing size': tensor((1 << 33, 1 << 33), (1 << 33, 1), 4),
    'tensor of lists': tensor([4], [1], 4),
    'storage as a value': Storage(4),
    'storage that is missing': Storage(4, name='../../etc/passwd'),
    'system': Call(Name('os', 'system'), 'true'),
    'eval': Call(Name('builtins', 'eval'), '1'),
    'getattr': Call(Name('builtins', 'getattr'), Name('torch', 'Tensor'), '__class__'),
    'torch load': Call(Name('torch.storage', '_load_from_bytes'), b'x'),
    'torch function': Call(Name('torch', 'zeros'), 1 << 40),
    'import of dotted names': Name('torch', 'os.system'),
    'type call': Call(Name('builtins', 'type'), 'A', (), {}),
    'device call': Call(Name('torch', 'device'), Name('torch', 'load')),
    'raw bytes of declared length': b'\x80\x05\x96' + struct.pack('<Q', 1 << 40) + b'.',
    'raw text of declared length': b'\x80\x04X' + struct.pack('<I', 0xFFFFFFFF) + b'.',
    'frame of declared length': b'\x80\x04\x95' + struct.pack('<Q', 1 << 40) + b'.',
    'deeply nested': b'\x80\x02' + b']' * 100_000 + b'a' * 99_999 + b'.',
    'deep tuple as a key': keyed(b')' + b'\x85' * 1_000_000),
    'nested tuple as a key': keyed(NESTED),
    'nested tuple as one of several keys': keyed(NESTED, b'}(', b'K\x01u'),
    'nested tuple as a key of a dict of items': keyed(NESTED, b'(', b'K\x01d'),
    'nested tuple in a set': keyed(NESTED, b'\x8f(', b'\x90'),
    'nested tuple as a key of pairs': Call(Name('collections', 'OrderedDict'), [(nested(), 1)]),
    'nested tuple as a size': tensor(nested(), (1,), 4),
    'nested tuple as a shape': array(nested(), dtype('f4'), b'AAAA'),
    'nested tuple as a type': dtype(nested()),
    'nested tuple as an encoding': Call(Name('_codecs', 'encode'), 'a', nested()),
    'nested tuple as a statistic': Call(
        Name('builtins', 'getattr'),
        Name('mmengine.logging.history_buffer', 'HistoryBuffer'),
        nested(),
    ),
    'nested tuple as a class': keyed(NESTED, b'', b')\x81'),
    'numbers of one hash as keys': keyed(SAME_HASHES, b'}(', b'u'),
    'tensor as arguments': keyed(pickled(WIDE)[2:-1], b'ctorch\nSize\n', b'R'),
    'tensor as arguments of a tensor': Call(
        Name('torch._tensor', '_rebuild_from_type_v2'), None, None, WIDE, {}
    ),
    'tensor as items': Call(Name('collections', 'OrderedDict'), [WIDE]),
    'change of a tensor': keyed(b'K\0', pickled(tensor((1,), (1,), 4))[2:-1]),
    'nothing': b'',
}


@pytest.fixture(scope='module')
def outcomes(tmp_path_factory) -> dict[str, str]:
    """Return the outcome of reading each file, all in one process so that side effects show."""
    folder = tmp_path_factory.mktemp('hostile')
    paths = {**write_contents(folder), **write_bombs(folder)}
    command = [sys.executable, '-c', READ_ALL, *map(str, paths.values())]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, f'{ended.stdout.splitlines()[-1:]}{ended.stderr[-2000:]}'
    by_path = json.loads(ended.stdout.splitlines()[-1])
    return {name: by_path[str(path)] for name, path in paths.items()}


def write_contents(folder: Path) -> dict[str, Path]:
    """Write `CONTENTS` as archives, and some of them in the older format."""
    paths = {
        name: archive(folder / f'{number}.pth', content, FLOATS)
        for number, (name, content) in enumerate(CONTENTS.items())
    }
    for name in OLDER:
        parts = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {})]
        data = b''.join([*parts, pickled(CONTENTS[name]), pickle.dumps([], 2)])
        paths[f'{name}, older format'] = folder / f'{len(paths)}.pth'
        paths[f'{name}, older format'].write_bytes(data)
    parts = [0x1950A86A20F9469CFC6C, 1001, {}, {}, [nested()]]
    paths['nested tuple as a storage'] = folder / 'old.pth'
    paths['nested tuple as a storage'].write_bytes(b''.join(pickle.dumps(x, 2) for x in parts))
    return paths


def repeated(item: bytes, times: int) -> bytes:
    """Return a pickle of a list of repeated items."""
    return b'(' + item * times + b'l'


def write_bombs(folder: Path) -> dict[str, Path]:
    """Write files whose parts are all valid but which take gigabytes when loaded."""
    # A copy of each tensor takes a thousand times the file.
    many = {str(i): tensor((1 << 18,), (1,), 1 << 18) for i in range(8000)}
    paths = {'one storage': archive(folder / 'many.pth', many, {'0': bytes(1 << 20)})}
    # Short calls with the same long value as argument; 20,000 copies of it take gigabytes.
    text = b'X' + struct.pack('<I', 1 << 20) + b'a' * (1 << 20)
    start = b'\x80\x02' + text + b'q\x00](' + b'h\x00' * 10_000 + b'eq\x01'
    calls = {
        'encode': b'c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R',
        'size': b'ctorch\nSize\nh\x01\x85R',
    }
    for name, call in calls.items():
        paths[name] = archive(folder / f'{name}.pth', start + repeated(call, 20_000) + b'.')
    repeating = tensor((1 << 28,), (0,), 4)
    tuples = {'a': repeating, 'b': Call(Name('torch', 'Size'), repeating)}
    paths['size of a tensor'] = archive(folder / 'tensor.pth', tuples, FLOATS)
    # Members of 64 MB in a file below 1 MB.
    content, zeros = {'a': tensor((16 << 20,), (1,), 16 << 20)}, {'0': bytes(64 << 20)}
    path = archive(folder / 'compressed.pth', content, zeros, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 20
    paths['compressed members'] = path
    # A file in the older format that declares more data than it has.
    data = b''.join(pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {}))
    storage = Storage(1 << 40)
    storage.key = (*storage.key, None)
    function = Name('torch._utils', '_rebuild_tensor_v2')
    content = {'a': Call(function, storage, 0, (4,), (1,), False, EMPTY)}
    paths['older format'] = folder / 'declared.pth'
    data += pickled(content) + pickle.dumps(['0'], 2) + bytes(64)
    paths['older format'].write_bytes(data)
    return paths


OLDER = ('ndarray of a pointer', 'system')  # of `CONTENTS`, also written in the older format


@pytest.mark.parametrize(
    'name',
    [*CONTENTS, *(f'{name}, older format' for name in OLDER), 'nested tuple as a storage'],
)
def test_crafted_contents(outcomes, name):
    assert outcomes[name] in {'UnsafeCheckpointError', 'DamagedCheckpointError'}


@pytest.mark.parametrize(
    'name',
    ['one storage', 'encode', 'size', 'size of a tensor', 'compressed members', 'older format'],
)
def test_bombs(outcomes, name):
    assert outcomes[name] == 'DamagedCheckpointError'


def test_valid_files_are_read_under_the_same_limits(tmp_path):
    """Without this, the tests above would also pass if every file failed."""
    content = {'a': tensor((2, 2), (2, 1), 4), 'b': array((1,), dtype('f8'), b'AAAAAAAA')}
    read = load_checkpoint_safely(archive(tmp_path / 'x.pth', content, FLOATS))
    torch.testing.assert_close(read['a'], torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert read['b'].shape == (1,)


def test_invalid_bools_become_valid(tmp_path):
    """Counting and reading disagree on the byte 0x41 as a bool, which writes past buffers."""
    key = Storage(4, kind='BoolStorage')
    rebuilt = Call(Name('torch._utils', '_rebuild_tensor_v2'), key, 0, (4,), (1,), False, EMPTY)
    content = {'a': rebuilt, 'b': array((2,), dtype('b1'), b'\x00A')}
    read = load_checkpoint_safely(archive(tmp_path / 'x.pth', content, {'0': b'\x00\x01A\xff'}))
    assert read['a'].view(torch.uint8).tolist() == [0, 1, 1, 1]
    assert read['b'].view('u1').tolist() == [0, 1]


def test_nested_metadata_error_is_one_short_line(tmp_path):
    """Each list holds the one below twice: 2**60 items to print."""
    ids: list = [1]
    for _ in range(60):
        ids = [ids, ids]
    path = tmp_path / 'x.pth'
    meta = {'dataset_meta': {'category_ids': ids}}
    torch.save({'state_dict': {'a': torch.ones(1)}, 'meta': meta}, path)
    with pytest.raises(CheckpointError) as error:
        category_ids_of(load_checkpoint_safely(path))
    assert len(str(error.value)) < 1000


def saved(path, as_zip: bool):
    weights = {f'w{i}': torch.randn(300) for i in range(40)}
    content = {'state_dict': weights, 'meta': {'iter': 3}}
    torch.save(content, path, _use_new_zipfile_serialization=as_zip)
    return path


@pytest.mark.parametrize('with_data', [True, False])
@pytest.mark.parametrize('place', range(1, 10))
def test_one_changed_byte_of_an_archive_is_detected(tmp_path, place, with_data):
    path = saved(tmp_path / 'x.pth', as_zip=True)
    data = bytearray(path.read_bytes())
    start = data.index(b'data/0')  # the records after the first pickle
    end = data.rindex(b'PK\x01\x02')
    position = start + 200 + (end - start - 10_000) * place // 10
    data[position] ^= 0x55
    path.write_bytes(data)
    before = torch.load(saved(tmp_path / 'y.pth', as_zip=True), weights_only=True)
    assert before['meta'] == {'iter': 3}
    try:
        load_checkpoint_safely(path, with_data)
    except CheckpointError:
        return
    with zipfile.ZipFile(path) as file:  # it hit the padding between records
        assert file.testzip() is None


@pytest.mark.parametrize('as_zip', [True, False])
@pytest.mark.parametrize('seed', range(20))
def test_random_damage_raises_or_loads_completely(tmp_path, as_zip, seed):
    path = saved(tmp_path / 'x.pth', as_zip)
    generator = torch.Generator().manual_seed(seed)
    data = bytearray(path.read_bytes())
    for position in torch.randint(len(data), (seed + 1,), generator=generator).tolist():
        data[position] = int(torch.randint(256, (), generator=generator))
    path.write_bytes(data)
    try:
        read = load_checkpoint_safely(path)
    except CheckpointError:
        return
    assert 'state_dict' in read or not as_zip
