"""How an answer is put, and how a parameter of a request is read."""

import hashlib
import json
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from nearfar.errors import NearfarError, SettingError
from nearfar.outside_text import printable
from nearfar.report.page import environment
from nearfar.web.runs_below import NoSuchRunError


def html(template: str, status: int = 200, **content: Any) -> Response:
    """A page of ours; all that it shows is escaped."""
    page = environment("nearfar.web").get_template(template).render(**content)
    # A name of a file may hold bytes that are no UTF-8.
    return HTMLResponse(page.encode(errors="backslashreplace"), status)


def unless_seen(request: Request, content: Any) -> Response:
    """Content as JSON, or nothing where the page has it already.

    Args:
        request: With the tag of what the page has, where it has anything.
        content: Of JSON's own types.
    """
    body = json.dumps(content, allow_nan=False).encode()
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"ETag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


def refusal(request: Request, error: Exception) -> Response:
    """Why something cannot be shown, on a page or as JSON, whichever was asked for."""
    status = 409
    if isinstance(error, NoSuchRunError):
        status = 404
    elif isinstance(error, SettingError):
        status = 400
    said = str(error) if isinstance(error, NearfarError) else _of_the_system(error)
    if _asks_for_json(request):
        return JSONResponse({"error": printable(said)}, status)
    return html("error.html", status, said=printable(said))


def failure(request: Request, error: Exception) -> Response:
    """What nobody foresaw: the terminal shows it, and the page says so."""
    said = f"nearfar stumbled over this ({type(error).__name__}): its terminal says more"
    if _asks_for_json(request):
        return JSONResponse({"error": said}, 500)
    return html("error.html", 500, said=said)


def number(request: Request, name: str, otherwise: int, most: int) -> int:
    """A whole number among the parameters.

    Args:
        request: The request.
        name: Of the parameter.
        otherwise: Where it is not given.
        most: Larger ones become this.

    Raises:
        SettingError: It is none, or below 0.
    """
    given = request.query_params.get(name, str(otherwise))
    if not (given.isascii() and given.isdecimal()) or len(given) > 12:
        raise SettingError(f"{name} is {given[:40]!r}: it must be a whole number")
    return min(int(given), most)


def _asks_for_json(request: Request) -> bool:
    return "/api/" in request.url.path


def _of_the_system(error: Exception) -> str:
    what = getattr(error, "strerror", None) or type(error).__name__
    return f"cannot read {getattr(error, 'filename', None) or 'a file of this run'}: {what}"
