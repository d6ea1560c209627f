"""A server of the site beside the tests, for a real browser."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from nearfar.web.app import web_app

TOKEN = "a-token"


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a folder's site, whose server ends with the context."""
    server = uvicorn.Server(
        uvicorn.Config(web_app(folder, TOKEN), port=0, log_level="error", lifespan="off")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/{TOKEN}/"
    finally:
        server.should_exit = True
        thread.join(timeout=20)


def well_behaved(browser, address: str) -> None:
    """Nothing is complained of, asked of another host, executed, or wider than the window."""
    assert not browser.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert browser.complaints() == []
    assert all(each.startswith(address) for each in browser.requests())
    assert browser.evaluate("[...document.images].every(each => each.src.startsWith('data:'))")
