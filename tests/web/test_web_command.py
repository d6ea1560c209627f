"""`nearfar web` from the command line: one line with the address, this machine alone, Ctrl-C."""

import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from web_runs import begin_run

from nearfar import installed
from nearfar.cli import main, web
from nearfar.installed import Needed


def test_without_the_extra_one_line_says_how_to_install_it(tmp_path, monkeypatch, capsys):
    lacking = Needed("nearfar", "starlette>=0.46", "starlette", None, False)
    monkeypatch.setattr(web, "needed", lambda extra: [lacking])
    assert main(["web", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "nearfar web needs starlette" in said
    assert "'nearfar[web]'" in said
    assert said.count("\n") == 1


def test_the_extra_is_there_and_small():
    assert {each.package for each in installed.needed("web")} == {"starlette", "uvicorn"}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["no/such/folder"], 1, "no folder at no/such/folder"),
        ([".", "--port", "70000"], 2, "--port is 70000: it must be 0 to 65,535"),
    ],
)
def test_what_cannot_be_served_is_refused(words, code, said, capsys):
    assert main(["web", *words]) == code
    assert said in capsys.readouterr().err


def test_a_port_that_is_taken_is_told(tmp_path, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["web", str(tmp_path), "--port", str(port)]) == 2
    assert f"--port {port}: " in capsys.readouterr().err


@pytest.mark.slow
def test_it_serves_on_this_machine_alone_until_it_is_interrupted(tmp_path):
    begin_run(tmp_path / "one")
    server = subprocess.Popen(
        [sys.executable, "-m", "nearfar", "web", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        (address,) = re.findall(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", line)
        with urllib.request.urlopen(f"{address}api/runs") as answer:
            assert b'"one"' in answer.read()
        port = int(address.split(":")[2].split("/")[0])
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api/runs")
        # Bound to one address: the next of the loopback's own is not it.
        with socket.socket() as other, pytest.raises(ConnectionRefusedError):
            other.connect(("127.0.0.2", port))
        server.send_signal(signal.SIGINT)
        out, said = server.communicate(timeout=30)
        assert (server.returncode, out, said) == (0, "", "")
    finally:
        server.kill()
        server.wait()
