"""What clients say over a WebSocket."""

from fastapi import WebSocket

from ostiary.errors import RequestMalformed


async def said(socket: WebSocket) -> str:
    """The next message. Raises WebSocketDisconnect, or RequestMalformed for one of bytes."""
    try:
        return await socket.receive_text()
    except KeyError:  # that is how Starlette tells bytes from text
        raise RequestMalformed("Send text here, not bytes.") from None
