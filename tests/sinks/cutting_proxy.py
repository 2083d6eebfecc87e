"""A TCP proxy before Postgres that cuts a connection at a chosen statement of its client."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

STATEMENTS = {b"": "startup", b"Q": "query", b"E": "execute", b"d": "copy data", b"c": "copy end"}
"""The messages at which a connection is cut: those that make the server do something."""


class CuttingProxy:
    """Counts the statements that each connection's client sends, and cuts where ``cut_at(connection)`` says.

    ``answered`` False: the message does not reach the server. True: it does, the server's answer is awaited, and the
    client never sees it.
    """

    def __init__(self, host: str, port: int, cut_at: Callable[[int], int], answered: bool) -> None:
        self._server = (host, port)
        self._cut_at = cut_at
        self._answered = answered
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.connections = 0
        self.cuts: list[str] = []
        """At what each connection was cut, in order."""
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed: the test is over
            self.connections += 1
            threading.Thread(target=self._serve, args=(client, self._cut_at(self.connections)), daemon=True).start()

    def _serve(self, client: socket.socket, cut_at: int) -> None:
        server = socket.create_connection(self._server)
        silent = threading.Event()
        back = threading.Thread(target=_answers, args=(server, client, silent), daemon=True)
        back.start()
        count = 0
        try:
            while True:
                kind, message = _message(client, typed=count > 0)
                count += kind in STATEMENTS
                if count == cut_at:
                    self.cuts.append(STATEMENTS[kind])
                    if self._answered:
                        silent.set()
                        server.sendall(message)
                        # The server answers all that it got, then sees the end of the connection and closes it.
                        server.shutdown(socket.SHUT_WR)
                        back.join()
                    return
                server.sendall(message)
        except OSError:
            pass  # one of the two hung up: so does the other, below
        finally:
            for end in (client, server):
                _hang_up(end)


def _message(client: socket.socket, typed: bool) -> tuple[bytes, bytes]:
    """One message of the client; the first one (startup) has no type."""
    kind = _exactly(client, 1) if typed else b""
    length = _exactly(client, 4)
    return kind, kind + length + _exactly(client, int.from_bytes(length, "big") - 4)


def _exactly(client: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = client.recv(count - len(data))
        if not more:
            raise ConnectionError("hung up")
        data += more
    return data


def _answers(server: socket.socket, client: socket.socket, silent: threading.Event) -> None:
    try:
        while data := server.recv(65536):
            if not silent.is_set():
                client.sendall(data)
    except OSError:
        pass  # one of the two hung up: so does the other, below
    if not silent.is_set():
        _hang_up(client)


def _hang_up(end: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it had hung up before
        end.shutdown(socket.SHUT_RDWR)
    end.close()
