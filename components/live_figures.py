"""Figures without a run of the page: a range that moves asks here, and the page follows when the finger rests.

A figure follows from the demo, its knobs, the language and the device, so no learner's session is touched.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from components import places
from language import LANGUAGES, Text

SHORT = 0.2  # seconds: a training that takes longer is left to the page, which shows how far it is
HEADERS = {"Cache-Control": "no-store", "Content-Encoding": "identity"}  # to compress floats takes ms and saves little
PATH = "/viva/figures/{language}/{device}/{demo}"


@dataclass(frozen=True)
class Follow:
    """How figures follow a range before the page runs again, which it does when the finger rests.

    `address` answers with the figures, as `drawing.written`, for `knobs` in its query; `on_turn` then hears what was
    turned, unless something else raised `version` in between.
    """

    address: str
    knobs: Mapping[str, str]
    on_turn: Callable[[Mapping[str, float]], None]
    version: int = 0

    def message(self, key: str) -> dict[str, Any]:
        """What the browser must know to follow; `key` is that of the charts."""
        number, _ = self._turns(key)
        return {"address": self.address, "knobs": dict(self.knobs), "version": self.version, "number": number}

    def hear(self, key: str) -> None:
        """Take what the browser reported."""
        self.on_turn(self._turns(key)[1])

    def _turns(self, key: str) -> tuple[int, dict[str, float]]:
        """The number of the last turn reported, and the values turned to; a browser can send anything."""
        match getattr(st.session_state.get(key), "turns", None):
            case {"number": int(number), "version": version, "values": dict(values)}:
                given = values if version == self.version else {}
                numbers = {name: value for name, value in given.items() if type(value) in (int, float)}
                return number, {name: value for name, value in numbers.items() if math.isfinite(value)}
        return 0, {}


def address(demo: str, language: str, device: str) -> str:
    """Where the figures of `demo` are, its knobs to be added as the query."""
    return places.served(PATH.format(language=language, device=device, demo=demo))


def route() -> Route:
    """The route that computes figures, each request in a thread of its own."""
    return Route(places.served(PATH), _figures)


def _figures(request: Request) -> Response:
    """The figures as JSON; 404 for what is not there, 204 for a state that the page itself must run or explain."""
    from components.chart import drawings
    from components.drawing import written
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
    return Response(body, media_type="application/json", headers=HEADERS)
