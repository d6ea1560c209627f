"""Who is answered: whoever knows the token, asks this machine by its name, and changes nothing."""

import re

import pytest
from starlette.testclient import TestClient
from web_runs import HOST, TOKEN, ask, begin_run, client_of, ids

from nearfar.web.gate import Gate


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    begin_run(runs / "one")
    return runs


@pytest.mark.parametrize(
    "path",
    ["/", "/run", "/api/runs", "/static/runs.js", f"/{TOKEN}", f"/{TOKEN}x/", "/%61-toke/", "//"],
)
def test_without_the_token_nothing_is_told(folder, path):
    answer = client_of(folder).get(path)
    assert answer.status_code == 403
    assert TOKEN not in answer.text
    assert "one" not in answer.text.replace("the one that", "")


@pytest.mark.parametrize("host", ["127.0.0.1:1234", "localhost:9000", "LOCALHOST", "127.0.0.1"])
def test_this_machine_is_asked_by_its_name(folder, host):
    answer = client_of(folder).get(f"/{TOKEN}/", headers={"host": host})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost:80@evil.example",
        "",
        "127.0.0.1:x",
        "[::1]:80",
    ],
)
def test_a_name_that_was_made_to_mean_this_machine_is_refused(folder, host):
    answer = client_of(folder).get(f"/{TOKEN}/", headers={"host": host})
    assert answer.status_code == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
def test_there_is_nothing_but_looking(folder, method):
    answer = client_of(folder).request(method, f"/{TOKEN}/api/runs")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"


def test_every_answer_keeps_other_hosts_out(folder):
    client = client_of(folder)
    run = ids(client)["one"]
    pages = [
        ask(client, ""),
        ask(client, "api/runs"),
        ask(client, "run", run),
        ask(client, "static/web.css"),
        ask(client, "no/such/page"),
        client.get("/"),
    ]
    for answer in pages:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "http" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in answer.headers
    assert pages[0].headers["cache-control"] == "no-store"


def test_no_page_holds_a_script_that_would_have_to_be_allowed_by_name(folder):
    client = client_of(folder)
    run = ids(client)["one"]
    pages = [ask(client, ""), *(ask(client, page, run) for page in ("run", "neighbors", "map"))]
    for page in pages:
        assert page.status_code == 200
        scripts = re.findall(r"<script([^>]*)>(.*?)</script>", page.text, re.DOTALL)
        for words, held in scripts:
            assert ("src=" in words and not held.strip()) or 'type="application/json"' in words
        assert not re.search(r"\son\w+\s*=", page.text)
        assert "script-src 'self';" in page.headers["content-security-policy"]


def test_a_report_is_shut_off_from_the_site_it_comes_from(folder):
    client = client_of(folder)
    answer = ask(client, "report", ids(client)["one"])
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "sandbox allow-scripts;" in policy
    assert "allow-same-origin" not in policy


def test_the_report_that_lies_in_a_run_is_never_sent(tmp_path):
    run = begin_run(tmp_path / "one")
    run.report.write_text("<script>written by somebody</script>")
    client = client_of(tmp_path)
    assert "written by somebody" not in ask(client, "report", ids(client)["one"]).text


def test_a_websocket_is_shut():
    async def never(*_):
        raise AssertionError("it came through")

    from starlette.websockets import WebSocketDisconnect

    with (
        pytest.raises(WebSocketDisconnect),
        TestClient(Gate(never, TOKEN), base_url=HOST).websocket_connect(f"/{TOKEN}/"),
    ):
        pass
