"""Figures without a run of the page: a range that moves asks here, and the page follows when the finger rests.

A figure follows from the demo, its knobs, the language and the device, so no learner's session is touched.
"""

import time

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from components import places
from language import LANGUAGES, Text

SHORT = 0.2  # seconds: a training that takes longer is left to the page, which shows how far it is
PATH = "/viva/figures/{language}/{device}/{demo}"


def address(demo: str, language: str, device: str) -> str:
    """Where the figures of `demo` are, its knobs to be added as the query."""
    return places.served(PATH.format(language=language, device=device, demo=demo))


def route() -> Route:
    """The route that computes figures, each request in a thread of its own."""
    return Route(places.served(PATH), _figures)


def _figures(request: Request) -> Response:
    """The figures as JSON; 404 for what is not there, 204 for a state that the page itself must run or explain."""
    from components.chart import drawings
    from components.live_chart import written
    from demos.kit import catalogue, device, knobs, runner
    from demos.kit.lab import Lab, Stopped

    asked, start = request.path_params, time.monotonic()

    def leave(_fraction: float, _note: Text | None) -> None:
        if time.monotonic() - start > SHORT:
            raise Stopped

    if asked["demo"] not in catalogue.names() or asked["language"] not in LANGUAGES:
        return Response(status_code=404)
    try:
        demo = catalogue.load(asked["demo"])
        params, _ = knobs.read(demo.params, request.query_params)
        pictures = runner.draw(demo, params, Lab(device.choose(asked["device"]), leave))
    except (Stopped, catalogue.DemoFileError):
        pictures = None
    if pictures is None:
        return Response(status_code=204)
    body = written(drawings(pictures, asked["language"]))
    return Response(body, media_type="application/json", headers={"Cache-Control": "no-store"})
