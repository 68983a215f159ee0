"""The two kinds of slider on the pages measured: Streamlit's own, and Viva's `live_range`."""

import json
from dataclasses import dataclass
from typing import Any

from streamlit.proto.Element_pb2 import Element
from streamlit.proto.Slider_pb2 import Slider as NativeSlider
from streamlit.proto.WidgetStates_pb2 import WidgetState


@dataclass(frozen=True)
class Slider:
    """A slider as a browser knows it: its id and key, what it stands at, and how each position is sent."""

    id: str
    key: str
    drawn: WidgetState
    sent: list[WidgetState]
    forced: bool  # whether the app set the position, over what the browser had


def sliders(element: Element) -> list[Slider]:
    """The slider that `element` is, if it is one."""
    kind = element.WhichOneof("type")
    if kind == "slider":
        return [_native(element.slider)]
    if kind == "bidi_component" and element.bidi_component.component_name == "live_range":
        return [_live(element.bidi_component.id, json.loads(element.bidi_component.bytes))]
    return []


def _native(slider: NativeSlider) -> Slider:
    options = list(slider.options)
    values = list(slider.value if slider.set_value else slider.default)
    if options:
        raw = list(slider.raw_value) if slider.set_value else []
        drawn = _words(slider.id, raw or [options[int(place)] for place in values])
        sent = [_words(slider.id, [option]) for option in options]
    else:
        drawn = _numbers(slider.id, values)
        sent = [_numbers(slider.id, [value]) for value in _scale(slider.min, slider.max, slider.step)]
    return Slider(slider.id, _key(slider.id), drawn, sent, slider.set_value)


def _live(id: str, data: dict[str, Any]) -> Slider:
    sent = [WidgetState(id=id, json_value=json.dumps({"value": value})) for value in data["values"]]
    drawn = WidgetState(id=id, json_value="{}")  # it reports nothing until it is moved
    return Slider(id, _key(id), drawn, sent, forced=False)


def _scale(low: float, high: float, step: float) -> list[float]:
    return [round(min(low + place * step, high), 9) for place in range(round((high - low) / step) + 1)]


def _key(id: str) -> str:
    """The key that the app gave: an id reads `$$ID-<hash>-<key>`."""
    return id.split("-", 2)[-1]


def _words(id: str, values: list[str]) -> WidgetState:
    state = WidgetState(id=id)
    state.string_array_value.data.extend(values)
    return state


def _numbers(id: str, values: list[float]) -> WidgetState:
    state = WidgetState(id=id)
    state.double_array_value.data.extend(values)
    return state
