"""What a learner sees of a screen, as words."""

import json
from typing import Any

from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button

WORDS = ("title", "header", "subheader", "markdown", "caption", "info", "success", "warning", "error")


def words(page: AppTest) -> str:
    """Everything written on `page`, in no particular order."""
    assert not page.exception, page.exception[0].message
    return "\n".join(element.value for kind in WORDS for element in getattr(page, kind))


def keys(page: AppTest) -> set[str]:
    """The keys of all buttons of `page`."""
    return {button.key for button in page.button if button.key}


def shortcuts(page: AppTest) -> dict[str, str]:
    """The keyboard shortcut of every button that has one, by key."""
    return {button.key: button.proto.shortcut for button in page.button if button.key and button.proto.shortcut}


def labelled(page: AppTest, label: str) -> Button:
    """The button that reads `label`."""
    (button,) = [button for button in page.button if button.label == label]
    return button


def links(page: AppTest) -> dict[str, str]:
    """The links to other screens: where each label leads, such as `question?number=4`."""
    return {
        link.proto.label: "?".join(filter(None, (link.proto.page, link.proto.query_string)))
        for link in page.get("page_link")
    }


def charts(page: AppTest) -> list[dict[str, Any]]:
    """What the live charts of `page` are told to draw: title, alt, data and layout of each."""
    mounted = (element.proto for element in page.get("bidi_component"))
    told = (json.loads(proto.bytes) for proto in mounted if proto.component_name == "live_chart")
    return [figure for message in told for figure in message["figures"]]


def ranges(page: AppTest) -> dict[str, dict[str, Any]]:
    """What each live range of `page` shows, by key: label, value, all values and their texts."""
    mounted = (element.proto for element in page.get("bidi_component"))
    found = (proto for proto in mounted if proto.component_name == "live_range")
    told = {proto.id.split("-", 2)[2]: json.loads(proto.bytes) for proto in found}
    return {key: {**shown, "value": shown["values"][shown["at"]]} for key, shown in told.items()}
