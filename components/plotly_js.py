"""plotly.js for `live_chart`: from the plotly wheel, so it fits and needs no network; compressed, cached for good."""

import functools
import gzip
from pathlib import Path

import plotly
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from components.places import served

SCRIPT = Path(plotly.__file__).with_name("package_data") / "plotly.min.js"
FOREVER = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}


def address() -> str:
    """Where this server hands out plotly.js."""
    return served(f"/viva/plotly-{plotly.__version__}.min.js")


def route() -> Route:
    """The route that hands out plotly.js."""
    return Route(address(), _script)


def _script(request: Request) -> Response:
    zipped = "gzip" in request.headers.get("accept-encoding", "")
    encoding = {"Content-Encoding": "gzip"} if zipped else {}
    return Response(_bytes(zipped), media_type="text/javascript", headers=FOREVER | encoding)


@functools.cache
def _bytes(zipped: bool) -> bytes:
    raw = SCRIPT.read_bytes()
    return gzip.compress(raw, 6) if zipped else raw
