"""Tests of downloads against a server on this machine: resuming, hashes, the cache, errors."""

import hashlib
import io
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from axialvs.checkpoints import download as download_module
from axialvs.checkpoints import hub
from axialvs.checkpoints.download import (
    DownloadError,
    cache_folder,
    cached_path,
    download,
    hash_in_name,
)
from axialvs.checkpoints.hub import (
    CHECKPOINTS,
    CheckpointUnavailableError,
    resolve_checkpoint,
)
from axialvs.utils.errors import AxialVSError


def archive(name: str) -> bytes:
    """Return an archive like those of `torch.save`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w') as file:
        file.writestr(name, bytes(range(256)) * 300)
    return buffer.getvalue()


CONTENT = archive('net/data.pkl')
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Files(BaseHTTPRequestHandler):
    """Serve the same content under every path that does not start with /none.

    /short disconnects half-way; /whole ignores range requests, as simple servers do; /chunks
    disconnects within a chunk of a response without a Content-Length.
    """

    def do_GET(self) -> None:
        start = 0
        if self.headers.get('Range') and not self.path.startswith('/whole'):
            start = int(self.headers['Range'].removeprefix('bytes=').rstrip('-'))
        self.server.requests.append((self.path, start))
        if self.path.startswith('/none') or start >= len(CONTENT):
            self.send_error(404 if self.path.startswith('/none') else 416)
            return
        if self.path.startswith('/chunks'):
            self._break_off_in_a_chunk()
            return
        self.send_response(206 if start else 200)
        self.send_header('Content-Length', str(len(CONTENT) - start))
        self.end_headers()
        breaks_off = self.path.startswith('/short') and not start
        end = len(CONTENT) // 2 if breaks_off else len(CONTENT)
        self.wfile.write(CONTENT[start:end])

    def _break_off_in_a_chunk(self) -> None:
        self.send_response(200)
        self.send_header('Transfer-Encoding', 'chunked')
        self.end_headers()
        self.wfile.write(b'%x\r\n' % len(CONTENT) + CONTENT[:2000])

    def log_message(self, *args) -> None:
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv('AXIALVS_CACHE', str(tmp_path / 'cache'))
    for proxy in ('http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY'):
        monkeypatch.delenv(proxy, raising=False)
    server = ThreadingHTTPServer(('127.0.0.1', 0), Files)
    server.requests = []
    server.address = f'http://127.0.0.1:{server.server_port}'
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_file_is_fetched_once(server, tmp_path):
    path = download(f'{server.address}/a/net-{DIGEST[:8]}.pth')
    assert path == tmp_path / 'cache' / 'checkpoints' / f'net-{DIGEST[:8]}.pth'
    assert path.read_bytes() == CONTENT
    assert download(f'{server.address}/a/net-{DIGEST[:8]}.pth') == path
    assert len(server.requests) == 1


@pytest.mark.parametrize('kind', ['ranges', 'whole'])
def test_interrupted_download_is_resumed_or_restarted(server, kind):
    url = f'{server.address}/{kind}/net.pth'
    partial = cached_path(url).with_name('net.pth.partial')
    partial.parent.mkdir(parents=True)
    partial.write_bytes(CONTENT[:1000])
    assert download(url, sha256=DIGEST).read_bytes() == CONTENT
    assert server.requests == [(f'/{kind}/net.pth', 1000 if kind == 'ranges' else 0)]
    assert not partial.exists()


def test_complete_partial_file_is_verified(server):
    url = f'{server.address}/net.pth'
    partial = cached_path(url).with_name('net.pth.partial')
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b'x' * len(CONTENT))
    assert download(url, sha256=DIGEST).read_bytes() == CONTENT


def test_early_disconnect_raises_and_can_be_resumed(server):
    url = f'{server.address}/short/net.pth'
    with pytest.raises(DownloadError, match=r'/short/net\.pth could not be downloaded'):
        download(url)
    path = cached_path(url)
    assert path.with_name('net.pth.partial').read_bytes() == CONTENT[: len(CONTENT) // 2]
    assert not path.exists()
    assert download(url, sha256=DIGEST).read_bytes() == CONTENT
    assert server.requests[-1] == ('/short/net.pth', len(CONTENT) // 2)


def test_truncated_chunked_download_is_not_kept(server, monkeypatch):
    monkeypatch.setattr(Files, 'protocol_version', 'HTTP/1.1')
    with pytest.raises(DownloadError, match=r'/chunks/net\.pth could not be downloaded'):
        download(f'{server.address}/chunks/net.pth')
    assert not cached_path(f'{server.address}/chunks/net.pth').exists()
    assert download(f'{server.address}/net.pth', sha256=DIGEST).read_bytes() == CONTENT


def test_file_with_a_wrong_hash_is_quarantined(server):
    url = f'{server.address}/net-00000000.pth'
    with pytest.raises(DownloadError, match=f'SHA-256 {DIGEST}, not 00000000'):
        download(url)
    folder = cache_folder() / 'checkpoints'
    names = {path.name for path in folder.iterdir() if path.suffix != '.lock'}
    assert names == {'net-00000000.pth.unverified'}
    with pytest.raises(DownloadError, match='not 00000000'):
        download(url)


def test_same_file_name_at_two_urls_is_cached_twice(server, monkeypatch):
    """Names such as iter_1000.pth occur in every run."""
    first = download(f'{server.address}/runA/iter_1000.pth')
    assert first.read_bytes() == CONTENT
    other = archive('other/data.pkl')
    monkeypatch.setitem(globals(), 'CONTENT', other)
    second = download(f'{server.address}/runB/iter_1000.pth')
    assert second.read_bytes() == other
    assert first.name == second.name == 'iter_1000.pth'
    assert download(f'{server.address}/runA/iter_1000.pth') == first


@pytest.mark.parametrize(
    'answer',
    [
        b'<!DOCTYPE html><html>',
        b'',
        b'{"error": 404}',
        CONTENT[: len(CONTENT) // 2],
        CONTENT[:500] + CONTENT[:-500],
        archive('slides.pptx'),
    ],
)
def test_html_pages_and_empty_responses_are_not_kept(server, monkeypatch, answer):
    url = f'{server.address}/whole/net.pth'
    whole = CONTENT
    monkeypatch.setattr(Files, 'do_GET', answering(answer))
    with pytest.raises(DownloadError, match='whole/net'):
        download(url)
    monkeypatch.setattr(Files, 'do_GET', answering(whole))
    assert download(url).read_bytes() == whole


def answering(content: bytes):
    """Return a `do_GET` that answers every request with the same content."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header('Content-Length', str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    return do_GET


def test_missing_file_and_unreachable_server_raise(server):
    with pytest.raises(DownloadError, match='HTTP status 404'):
        download(f'{server.address}/none.pth')
    with pytest.raises(DownloadError, match='refused'):
        download('http://127.0.0.1:9/net.pth')
    with pytest.raises(DownloadError, match='could not be downloaded'):
        download('no-address/net.pth')


def test_file_url(server, tmp_path):
    source = tmp_path / 'net.pth'
    source.write_bytes(CONTENT)
    assert download(source.as_uri()).read_bytes() == CONTENT


def test_cache_folder_is_set_by_environment_variables(monkeypatch, tmp_path):
    monkeypatch.delenv('AXIALVS_CACHE', raising=False)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    assert cache_folder() == tmp_path / 'axialvs'
    monkeypatch.setenv('AXIALVS_CACHE', str(tmp_path / 'own'))
    assert cache_folder() == tmp_path / 'own'


def test_hash_is_read_from_the_file_name():
    assert hash_in_name('mask2former_r50_20220506_191028-41b088b6.pth') == '41b088b6'
    assert hash_in_name('iter_1000.pth') is None


def test_known_checkpoint_falls_back_to_the_second_host(server, monkeypatch):
    name = 'mask2former-vis_r50_youtubevis2021'
    monkeypatch.setattr(hub, '_HOSTS', (f'{server.address}/none', f'{server.address}/mirror'))
    with pytest.raises(CheckpointUnavailableError, match='not 5d215283'):
        resolve_checkpoint(name)
    monkeypatch.setattr(download_module, '_check_hash', lambda *args: None)
    assert resolve_checkpoint(name).read_bytes() == CONTENT
    assert [path.split('/')[1] for path, _ in server.requests] == ['none', 'mirror'] * 2


def test_unreachable_checkpoint_error_names_alternatives(server, monkeypatch):
    monkeypatch.setattr(hub, '_HOSTS', (f'{server.address}/none',))
    with pytest.raises(CheckpointUnavailableError) as error:
        resolve_checkpoint('mask2former_r50_coco')
    message = str(error.value)
    assert 'HTTP status 404' in message
    assert f'{server.address}/none/mmdetection/v3.0/mask2former/' in message
    assert str(cache_folder() / 'checkpoints') in message
    assert 'axialvs-wc_tiny_movingshapes' in message


def test_manually_cached_checkpoint_is_used(server):
    known = CHECKPOINTS['mask2former_r50_coco']
    path = cache_folder() / 'checkpoints' / known.addresses[0].rpartition('/')[-1]
    path.parent.mkdir(parents=True)
    path.write_bytes(b'by hand')
    assert resolve_checkpoint(known.name) == path
    assert not server.requests


def test_manual_download_error_names_page_and_converter():
    with pytest.raises(CheckpointUnavailableError) as error:
        resolve_checkpoint('release_near-online_r50_youtubevis2021')
    assert 'MODEL_ZOO.md' in str(error.value)
    assert 'axialvs convert release' in str(error.value)


def test_torchvision_names_need_no_torchvision(monkeypatch):
    monkeypatch.setattr(hub, 'download', lambda url: url)
    assert resolve_checkpoint('torchvision://resnet50').endswith('/resnet50-0676ba61.pth')
    with pytest.raises(AxialVSError, match='resnet99'):
        resolve_checkpoint('torchvision://resnet99')


def test_other_schemes_are_refused():
    with pytest.raises(AxialVSError, match='s3://bucket'):
        resolve_checkpoint('s3://bucket/x.pth')


def test_paths_precede_names_and_errors_list_known_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'mask2former_r50_coco').write_bytes(b'x')
    assert resolve_checkpoint('mask2former_r50_coco').read_bytes() == b'x'
    with pytest.raises(FileNotFoundError, match='mask2former-vis_swin-l_youtubevis2021'):
        resolve_checkpoint('no-such')


def test_table_of_checkpoints_is_consistent():
    for name, known in CHECKPOINTS.items():
        assert name == known.name
        assert sum(map(bool, (known.addresses, known.page, known.package, known.shipped))) == 1
        if known.shipped:
            assert resolve_checkpoint(name).is_file()
        if known.addresses and 'convnext' not in name:  # whose names carry no hash
            assert len(known.sha256) == 8
            assert all(address.startswith('https://') for address in known.addresses)
