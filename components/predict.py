"""Predict first: the learner commits to an answer before the figures appear, then sees what the run says."""

import streamlit as st

from components import memory, session
from demos.kit.contract import Demo
from demos.kit.runner import Outcome
from language import Text

HEADING = Text("Predict first", "先猜一猜")
COMMIT = Text("Reveal", "揭晓")
SKIP = Text("Just show me", "直接看")
RIGHT = Text("Right: **{right}**.", "猜对了：**{right}**。")
WRONG = Text("You said {said}. The run says **{right}**.", "你猜的是{said}，实际是**{right}**。")
PREFERENCE = "predict_first"


def is_open(name: str) -> bool:
    """Whether the figures may be shown: committed, skipped, or the learner turned prediction off."""
    return session.flag(f"shown {name}") or not memory.preference(PREFERENCE, True)


def ask(name: str, demo: Demo) -> None:
    """The question, its options, and two ways on."""
    say, prediction = session.say, demo.prediction
    with st.container(border=True):
        options = {option: say(text) for option, text in prediction.options.items()}
        st.markdown(f":violet-badge[:material/psychology: {say(HEADING)}]\n\n{say(prediction.ask)}")
        chosen = st.radio(
            say(prediction.ask),
            list(options),
            index=None,
            format_func=session.naming(options),
            key=f"{name} guess",
            label_visibility="collapsed",
        )
        with st.container(horizontal=True):
            label, args = say(COMMIT), (name, f"{name} guess")
            st.button(label, key=f"{name} commit", type="primary", disabled=chosen is None, on_click=commit, args=args)
            st.button(say(SKIP), key=f"{name} skip", type="tertiary", on_click=commit, args=(name, None))


def commit(name: str, widget: str | None) -> None:
    """Keep what `widget` says as the prediction, or none, and open the figures."""
    session.keep_prediction(name, st.session_state[widget] if widget else None)
    session.raise_flag(f"shown {name}")


def verdict(name: str, demo: Demo, outcome: Outcome) -> None:
    """What the run says about the committed prediction, if there is one."""
    said, right = session.prediction(name), outcome.right_option
    if said is None or right is None:
        return
    say, options = session.say, demo.prediction.options
    because = say(demo.prediction.because)
    if said == right:
        st.success(f"{say(RIGHT).format(right=say(options[right]))} {because}", icon=":material/check:")
    else:
        line = say(WRONG).format(said=say(options[said]), right=say(options[right]))
        st.info(f"{line} {because}", icon=":material/lightbulb:")
