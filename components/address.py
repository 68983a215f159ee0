"""Addresses: every state of every demo is a link, in any language.

Streamlit's own URL binding writes option labels as they are shown and drops what is out of range without a word.
Viva's links must mean the same in both languages and say when a value was clamped, so knobs are written here.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from demos.kit import knobs
from demos.kit.knobs import Notice


def has_state(demo: str) -> bool:
    """Whether the address says anything about `demo`."""
    return any(name.startswith(f"{demo}.") for name in st.query_params)


def read(demo: str, kind: type[Any], base: Any) -> tuple[Any, list[Notice]]:
    """The params of `demo` from the address, what it does not mention from `base`; bad values become notices."""
    given = {
        name.removeprefix(f"{demo}."): value for name, value in st.query_params.items() if name.startswith(f"{demo}.")
    }
    written = {name: knobs.as_query(getattr(base, name)) for name in knobs.knobs_of(kind)}
    return knobs.read(kind, {**written, **given})


def state(demo: str, params: Any) -> dict[str, str]:
    """The part of an address that restores `params`: only what differs from the defaults."""
    kind = type(params)
    return {
        f"{demo}.{name}": knobs.as_query(getattr(params, name))
        for name in knobs.knobs_of(kind)
        if getattr(params, name) != getattr(kind, name)
    }


def write(demo: str, params: Any) -> None:
    """Make the browser's address restore `params`; the page does not reload."""
    wanted = state(demo, params)
    present = {name for name in st.query_params if name.startswith(f"{demo}.")}
    for name in present - set(wanted):
        del st.query_params[name]
    for name, value in wanted.items():
        if st.query_params.get(name) != value:
            st.query_params[name] = value


def link(place: Mapping[str, str], demo: str, params: Any, language: str) -> str:
    """The address to share: this page's, with the state of `demo` and the language."""
    base = (st.context.url or "").split("?")[0]
    return f"{base}?{urlencode({**place, 'lang': language, **state(demo, params)})}"


def number(name: str, default: int) -> tuple[int, bool]:
    """A whole number from the address, and whether what stood there was usable."""
    given = st.query_params.get(name)
    try:
        return (default, True) if given is None else (int(given), True)
    except ValueError:
        return default, False
