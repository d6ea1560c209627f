"""Serves the site on this machine alone, until Ctrl-C."""

import secrets
import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn

from nearfar.errors import SettingError
from nearfar.web.app import web_app

HOST = "127.0.0.1"


def serve(folder: Path, port: int, ready: Callable[[str], None]) -> None:
    """Serves the runs of a folder until it is interrupted.

    Args:
        folder: Whose runs are shown.
        port: Of this machine; 0 takes a free one.
        ready: Told the address, with its token, once it can be opened.

    Raises:
        NearfarError: There is no such folder.
        SettingError: The port is taken, or not to be had.
    """
    token = secrets.token_urlsafe(24)
    app = web_app(folder, token)
    with _bound(port) as listening:
        settings = uvicorn.Config(
            app,
            log_level="error",
            access_log=False,  # its lines would hold the token
            server_header=False,
            ws="none",
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        listening.listen()
        ready(f"http://{HOST}:{listening.getsockname()[1]}/{token}/")
        uvicorn.Server(settings).run(sockets=[listening])


def _bound(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # So that a server that has just ended can be followed by the next one.
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
    except OSError as error:
        listening.close()
        raise SettingError(
            f"--port {port}: {error.strerror}; leave it out to take a free one"
        ) from error
    return listening
