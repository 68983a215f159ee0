"""A browser without a screen: it speaks Streamlit's websocket protocol and times each run from request to finish.

Like the real one it keeps the state of every slider it was sent, sends all of them with each request, asks only for
the fragment that a widget belongs to, and follows the address that the app writes.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Delta_pb2 import Delta
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState

from benchmarks.sliders import Slider, sliders

PATIENCE = 60.0  # seconds for one run


class AppError(Exception):
    """The app showed an error, so that its time means nothing."""


@dataclass
class Run:
    """One run of a script or fragment as its client saw it: seconds from request to finish, and what came."""

    seconds: float = 0.0
    messages: int = 0
    deltas: int = 0
    size: int = 0  # bytes
    problems: list[str] = field(default_factory=list)


class Tab:
    """One session on one page. Made by `tab`."""

    def __init__(self, socket: websockets.ClientConnection, page: str, query: str) -> None:
        self._socket = socket
        self._page, self._query = page, query
        self._page_hash = ""
        self._run_id = ""
        self._sliders: dict[str, tuple[Slider, str]] = {}  # by key, with the slider's fragment
        self._ranges: dict[str, tuple[str, dict[str, Any], str]] = {}  # by key: widget id, what it shows, fragment
        self._charts: dict[str, tuple[str, int, str]] = {}  # by key: widget id, version of the knobs, fragment
        self._turns = 0
        self._states: dict[str, WidgetState] = {}

    async def load(self) -> Run:
        """Run the whole page. Raises AppError."""
        return await self._run("")

    async def go(self, page: str, query: str = "") -> Run:
        """Switch to another page of the app, as a click in the navigation does. Raises AppError."""
        self._page, self._query, self._page_hash = page, query, ""
        self._sliders.clear()
        self._ranges.clear()
        self._charts.clear()
        self._states.clear()
        return await self._run("")

    def positions(self, key: str) -> int:
        """How many positions the slider has."""
        return len(self._slider(key).sent)

    async def move(self, key: str, position: int) -> Run:
        """Move a slider to a position counted from 0 and wait until its fragment has run. Raises AppError."""
        if key in self._ranges:
            return await self._move_range(*self._ranges[key], position)
        slider = self._slider(key)
        self._states[slider.id] = slider.sent[position]
        return await self._run(self._sliders[key][1])

    async def _move_range(self, widget: str, shown: dict[str, Any], fragment: str, position: int) -> Run:
        """Report as the page does: through the charts that the range moves if they are there, else by itself."""
        value = shown["values"][position]
        state = {"value": value}
        charts, knob = shown["turns"]
        if charts in self._charts:
            widget, version, fragment = self._charts[charts]
            self._turns += 1
            state = {"turns": {"number": self._turns, "version": version, "values": {knob: value}}}
        self._states[widget] = WidgetState(id=widget, json_value=json.dumps(state))
        return await self._run(fragment)

    def _slider(self, key: str) -> Slider:
        if key not in self._sliders:
            raise AppError(f"no slider {key!r} on the page; there are {', '.join(self._sliders) or 'none'}")
        return self._sliders[key][0]

    async def _run(self, fragment: str) -> Run:
        request = self._request(fragment).SerializeToString()
        run, start, self._run_id = Run(), time.perf_counter(), ""
        await self._socket.send(request)
        async with asyncio.timeout(PATIENCE):
            while not run.seconds:
                received = await self._socket.recv()
                message = ForwardMsg.FromString(received if isinstance(received, bytes) else received.encode())
                if self._take(message, run, len(received)):
                    run.seconds = time.perf_counter() - start
        if run.problems:
            raise AppError("; ".join(run.problems))
        return run

    def _request(self, fragment: str) -> BackMsg:
        message = BackMsg()
        rerun = message.rerun_script
        rerun.query_string, rerun.fragment_id = self._query, fragment
        rerun.page_name, rerun.page_script_hash = ("", self._page_hash) if self._page_hash else (self._page, "")
        rerun.widget_states.widgets.extend(self._states.values())
        context = rerun.context_info
        context.timezone, context.locale, context.color_scheme = "UTC", "en-US", "light"
        return message

    def _take(self, message: ForwardMsg, run: Run, size: int) -> bool:
        """Note what the message says; whether it ends the run we asked for."""
        run.messages += 1
        run.size += size
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self._run_id = message.metadata.run.script_run_id
            self._page_hash = message.new_session.page_script_hash or self._page_hash
        elif kind == "navigation":
            self._page_hash = message.navigation.page_script_hash or self._page_hash
        elif kind == "page_info_changed":
            self._query = message.page_info_changed.query_string
        elif kind == "page_not_found":
            run.problems.append(f"there is no page {self._page!r}")
        elif kind == "delta":
            run.deltas += 1
            self._draw(message.delta, run)
        finished = kind == "script_finished" and message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN
        return finished and bool(self._run_id) and message.metadata.run.script_run_id == self._run_id

    def _draw(self, delta: Delta, run: Run) -> None:
        element = delta.new_element
        if element.WhichOneof("type") == "exception":
            run.problems.append(f"{element.exception.type}: {element.exception.message[:300]}")
        component = element.bidi_component
        key = component.id.split("-", 2)[-1]  # an id reads `$$ID-<hash>-<key>`
        if component.component_name == "live_range":
            self._ranges[key] = (component.id, json.loads(component.bytes), delta.fragment_id)
        if component.component_name == "live_chart":
            self._charts[key] = (component.id, json.loads(component.bytes)["follow"]["version"], delta.fragment_id)
        for slider in sliders(element):
            self._sliders[slider.key] = (slider, delta.fragment_id)
            if slider.id not in self._states or slider.forced:
                self._states[slider.id] = slider.drawn


@asynccontextmanager
async def tab(address: str, page: str = "", query: str = "") -> AsyncIterator[Tab]:
    """Open a session on `page` of the app at `address` (host:port); nothing runs until `load`."""
    stream = f"ws://{address}/_stcore/stream"
    async with websockets.connect(
        stream,
        subprotocols=[websockets.Subprotocol("streamlit")],
        compression=None,
        max_size=None,
        proxy=None,
        ping_interval=None,
        open_timeout=PATIENCE,
    ) as socket:
        yield Tab(socket, page, query)
