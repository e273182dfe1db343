"""A server of one H.264 stream over RTSP (RFC 2326), with RTP in the same connection."""

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import av
import numpy as np

SDP = (
    'v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n'
    'm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n'
    'a=fmtp:96 packetization-mode=1\r\na=control:track\r\n'
)


def rtp_packets(images: list[np.ndarray], rate: int) -> list[bytes]:
    """Encode frames, each with its parameter sets, and packetize them."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(('127.0.0.1', 0))
        receiver.settimeout(0.5)
        address = f'rtp://127.0.0.1:{receiver.getsockname()[1]}'
        packets = []
        with av.open(address, 'w', format='rtp') as container:
            stream = container.add_stream('libx264', rate=rate)
            stream.height, stream.width = images[0].shape[:2]
            stream.pix_fmt = 'yuv420p'
            stream.options = {'crf': '10', 'g': '1', 'tune': 'zerolatency'}
            for image in [*images, None]:
                frame = image if image is None else av.VideoFrame.from_ndarray(image, 'rgb24')
                for packet in stream.encode(frame):
                    container.mux(packet)
                    try:
                        while True:
                            packets.append(receiver.recv(65536))
                            receiver.settimeout(0.02)
                    except TimeoutError:
                        receiver.settimeout(0.5)
    return [packet for packet in packets if packet[1] & 0x7F == 96]


class _Handler(socketserver.StreamRequestHandler):
    """A handler that answers every request and sends all packets at once."""

    def handle(self) -> None:
        while request := self._request():
            method, url, headers = request
            answer, body = [f'CSeq: {headers["cseq"]}'], ''
            if method == 'OPTIONS':
                answer += ['Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN']
            elif method == 'DESCRIBE':
                body = SDP
                answer += ['Content-Type: application/sdp', f'Content-Base: {url}/']
            elif method == 'SETUP':
                answer += [f'Transport: {headers["transport"]}', 'Session: 1']
            else:
                answer += ['Session: 1']
            lines = ['RTSP/1.0 200 OK', *answer, f'Content-Length: {len(body)}', '', body]
            self.wfile.write('\r\n'.join(lines).encode())
            self.server.requests.append((method, headers.get('transport')))
            if method == 'PLAY':
                for packet in self.server.packets:
                    self.wfile.write(b'$\0' + len(packet).to_bytes(2, 'big') + packet)
            if method in ('PLAY', 'TEARDOWN'):
                return

    def _request(self) -> tuple[str, str, dict[str, str]] | None:
        lines = []
        while line := self.rfile.readline().decode().strip():
            lines.append(line)
        if not lines:
            return None
        method, url, _ = lines[0].split()
        fields = (line.split(':', 1) for line in lines[1:])
        return method, url, {name.lower(): value.strip() for name, value in fields}


@contextmanager
def rtsp_server(images: list[np.ndarray], rate: int = 10) -> Iterator[tuple[str, list]]:
    """Serve frames to each client and then end the connection.

    Yields:
        The URL, and the list of (method, transport) of the requests.
    """
    with socketserver.ThreadingTCPServer(('127.0.0.1', 0), _Handler) as server:
        server.daemon_threads = True
        server.packets, server.requests = rtp_packets(images, rate), []
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f'rtsp://127.0.0.1:{server.server_address[1]}/stream', server.requests
        server.shutdown()
