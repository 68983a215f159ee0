"""What the server changes in Streamlit: it must be there to change."""

from streamlit.runtime import runtime

from components import server


def test_messages_are_flushed_soon_because_streamlit_reads_the_interval_at_every_turn():
    server.flush_soon()
    assert vars(runtime)["MESSAGE_FLUSH_INTERVAL_SECS"] == 0.001
    assert "MESSAGE_FLUSH_INTERVAL_SECS" in runtime.Runtime._loop_coroutine.__code__.co_names
