"""What a browser must not meet while it visits Viva: script errors, failed requests, requests to anybody else."""

import re
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Request, Response

from tests.browser.server import Server

# Opened at /review, Streamlit looks for its server at /review/_stcore/health before it tries /_stcore/health.
PROBE = re.compile(r"/\w+/_stcore/(health|host-config)$")


class Watch:
    """Keeps what goes wrong on any page of a browser context, except while the test has the server down."""

    def __init__(self, context: BrowserContext, server: Server) -> None:
        self.requests = 0
        self.outside: list[str] = []
        self.problems: list[str] = []
        self._server = server
        context.on("request", self._request)
        context.on("requestfailed", self._failed)
        context.on("response", self._response)
        context.on("console", self._console)
        context.on("weberror", lambda error: self._report(f"uncaught: {error.error}"))

    def _request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme in ("data", "blob"):
            return
        self.requests += 1
        if address.netloc != f"localhost:{self._server.port}":
            self.outside.append(request.url)

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the learner moved on before it was loaded
            self._report(f"failed: {request.url}: {request.failure}")

    def _response(self, response: Response) -> None:
        if response.status >= 400 and not PROBE.search(urlsplit(response.url).path):
            self._report(f"{response.status}: {response.url}")

    def _console(self, message: ConsoleMessage) -> None:
        is_probe = PROBE.search(urlsplit(message.location["url"]).path)
        if message.type == "error" and not is_probe:
            self._report(f"console: {message.text}")

    def _report(self, problem: str) -> None:
        if self._server.is_up:
            self.problems.append(problem)
