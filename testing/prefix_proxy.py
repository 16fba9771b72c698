"""A proxy that shows a server below a path, inside a page of its own, as Home Assistant's ingress
does."""

import re
import socket
import threading
from typing import Self

PREFIX = "/api/hassio_ingress/4bP9"
FRAME = f'<!doctype html><iframe src="{PREFIX}/" width="1200" height="760"></iframe>'


class PrefixProxy:
    """Passes what is asked below PREFIX on to 127.0.0.1 at `port`, without it; anything else is
    answered by FRAME. `url` is where it is."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as asked:
            head = b"".join(iter(asked.readline, b"\r\n")).decode("latin-1")
            method, _, rest = head.partition(" ")
            if not rest.startswith(PREFIX):
                answer = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n"
                client.sendall((answer + FRAME).encode())
                return
            head = f"{method} {rest.removeprefix(PREFIX)}"
            if "\r\nupgrade:" not in head.lower():  # one request a connection
                head = re.sub(r"(?i)\r\nconnection:[^\r]*", "", head)
                head += "Connection: close\r\n"
            with socket.create_connection(("127.0.0.1", self._port)) as server:
                server.sendall(f"{head}\r\n".encode("latin-1"))
                sending = threading.Thread(target=_pump, args=(asked, server), daemon=True)
                sending.start()
                with server.makefile("rb") as answered:
                    _pump(answered, client)


def _pump(source: object, target: socket.socket) -> None:
    try:
        while data := source.read1():  # type: ignore[attr-defined]
            target.sendall(data)
    except (OSError, ValueError):  # closed, at the other side or here
        return
