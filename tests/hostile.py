"""A server of plain sockets whose every byte a test chooses, and a certificate for a name of a test's own."""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Behaviour = Callable[[socket.socket, threading.Event], None]


class Hostile:
    """Each connection's request is read, then `behave` has the socket; `over` is set at the end."""

    def __init__(
        self, behave: Behaviour, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        self._behave, self._tls = behave, tls
        self._listener = socket.create_server((host, port))
        self._over = threading.Event()
        self.connections = 0
        self.requests: list[bytes] = []
        scheme = "http" if tls is None else "https"
        self.port = self._listener.getsockname()[1]
        self.url = f"{scheme}://{host}:{self.port}/hook"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Hostile:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(plain,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, plain: socket.socket) -> None:
        plain.settimeout(15)
        try:
            with plain if self._tls is None else self._tls.wrap_socket(plain, server_side=True) as connection:
                head = b""
                while b"\r\n\r\n" not in head and (read := connection.recv(65536)):
                    head += read
                length = re.search(rb"content-length: (\d+)", head.lower())
                missing = int(length[1]) - len(head.partition(b"\r\n\r\n")[2]) if length else 0
                while missing > 0 and (read := connection.recv(65536)):
                    missing -= len(read)
                self.requests.append(head)
                self._behave(connection, self._over)
        except OSError:
            pass  # the other side had enough


def certificate(folder: Path, name: str, now: datetime) -> tuple[Path, ssl.SSLContext, ssl.SSLContext]:
    """A certificate for a name or an address that nobody else trusts: its file, a server's context with it, and that of
    a client which trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    try:
        called: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        called = x509.DNSName(name)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([called]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / f"{name}.crt", folder / f"{name}.key"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(public, private)
    return public, server, ssl.create_default_context(cafile=str(public))
