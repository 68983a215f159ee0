"""The store as the screens use it: a fault is remembered and told once, and nothing else stops working."""

import pytest
from streamlit.testing.v1 import AppTest

from components import memory
from study.errors import StoreError
from tests.views.conftest import data as data


def page_of(script) -> AppTest:
    """Run a function as a page of its own."""
    page = AppTest.from_function(script, default_timeout=60).run()
    assert not page.exception, page.exception[0].message
    return page


@pytest.fixture
def broken(data, monkeypatch) -> str:
    path = data / "broken.db"
    path.write_bytes(b"no database" * 1000)
    monkeypatch.setenv("VIVA_DATABASE_URL", f"sqlite:///{path}")
    return str(path)


def asks_three_times():
    import streamlit as st

    from components import memory

    given = [memory.attempt(lambda store: store.preference("x", "kept"), "otherwise") for _ in range(3)]
    memory.show_fault()
    memory.show_fault()
    st.text(" ".join(given))


@pytest.mark.usefixtures("data")
def test_an_attempt_gives_what_the_store_says():
    page = page_of(asks_three_times)
    assert page.text[0].value == "kept kept kept"
    assert not page.error


def test_a_failed_attempt_gives_the_other_value_and_is_told_once(broken):
    page = page_of(asks_three_times)
    assert page.text[0].value == "otherwise otherwise otherwise"
    (error,) = page.error
    assert broken in error.value
    assert memory.LOST.en in error.value


def test_a_store_that_failed_is_not_tried_again_at_once_but_later(broken, data, monkeypatch):
    with pytest.raises(StoreError) as first:
        memory.store()
    (data / "broken.db").unlink()
    with pytest.raises(StoreError) as second:
        memory.store()
    assert second.value is first.value
    monkeypatch.setattr(memory, "RETRY_AFTER", 0.0)
    assert memory.store().path == broken


def keeps_and_reads():
    import streamlit as st

    from components import memory

    before = memory.preference("speed", 10)
    memory.keep_preference("speed", 25)
    st.text(f"{before} {memory.preference('speed', 10)}")


@pytest.mark.usefixtures("data")
def test_a_preference_is_read_back_and_outlives_the_tab():
    assert page_of(keeps_and_reads).text[0].value == "10 25"
    assert page_of(keeps_and_reads).text[0].value == "25 25"


@pytest.mark.usefixtures("broken")
def test_without_a_store_a_preference_lasts_for_the_tab():
    page = page_of(keeps_and_reads)
    assert page.text[0].value == "10 25"
    assert page.run().text[0].value == "25 25"
    assert page_of(keeps_and_reads).text[0].value == "10 25"


def reads_a_number():
    import streamlit as st

    from components import memory

    st.text(repr(memory.preference("speed", 10)))


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize("kept", ["fast", [1], {"a": 1}, 2.5])
def test_a_preference_of_another_type_is_not_used(kept):
    memory.store().set_preference("speed", kept)
    assert page_of(reads_a_number).text[0].value == "10"
