"""What the server adds to the screens: security headers, plotly.js, figures, a check of the privacy setting."""

import contextlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.routing import Route
from streamlit.runtime import runtime

from components import live_figures, plotly_js

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGI = Callable[[Message, Receive, Send], Awaitable[None]]

# Streamlit's own page needs inline styles and scripts, evaluates Vega expressions and loads components from blobs.
CONTENT = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' ws: wss: data: blob:",
        "worker-src 'self' blob:",
        "frame-ancestors 'none'",
        "base-uri 'self'",
        "form-action 'self'",
    ]
)
HEADERS = {
    "Content-Security-Policy": CONTENT,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), payment=()",
}


class SecurityHeaders:
    """Adds `HEADERS` to every HTTP response."""

    def __init__(self, app: ASGI) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass on the request; add the headers to what comes back."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, with_headers)


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    """Refuse to start if the privacy setting is not in force."""
    if st.get_option("browser.gatherUsageStats"):
        raise RuntimeError("browser.gatherUsageStats must be false; see .streamlit/config.toml")
    no_delay()
    flush_soon()
    yield


def flush_soon() -> None:
    """Hand messages to the browser a millisecond after they are made: Streamlit gathers them for five, which a dragged
    slider feels twice a step. Its constant has no option; a test tells when an upgrade renames it.
    """
    runtime.MESSAGE_FLUSH_INTERVAL_SECS = 0.001  # pyright: ignore[reportPrivateImportUsage]


def routes() -> list[Route]:
    """What is served besides the pages."""
    return [plotly_js.route(), live_figures.route()]


MIDDLEWARE = [Middleware(SecurityHeaders)]


def no_delay() -> None:
    """Send small messages at once: `streamlit run` leaves Nagle's algorithm on, 40 ms a step of a dragged slider.

    Connections inherit the option from the listening socket, which is open by the time the lifespan starts.
    """
    folder = Path("/dev/fd")
    for entry in folder.iterdir() if folder.exists() else ():
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(entry.name))) as found:
            if found.family in (socket.AF_INET, socket.AF_INET6):
                found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
