"""One multiple-choice item: options as buttons, and after the answer an explanation of every option."""

from collections.abc import Callable, Sequence

import streamlit as st

from components import session
from language import Text
from study.question import Choice

RIGHT = Text("Right.", "答对了。")
WRONG = Text("Not quite. The item is now due in Review.", "不对。这道题已加入待复习。")
UNSAVED = Text("Not quite.", "不对。")
YOURS = Text("your answer", "你的选择")
LETTERS = "ABCDEF"


def options(item: Choice, order: Sequence[int], pick: Callable[[int], None]) -> None:
    """The options in `order`; keys 1 to 6 pick too. `pick` gets the place of the option in the question file."""
    for place, index in enumerate(order):
        st.button(
            f"**{LETTERS[place]}**  {session.say(item.options[index].text)}",
            key=f"option {place}",
            width="stretch",
            shortcut=str(place + 1),
            on_click=pick,
            args=(index,),
        )


def explanation(item: Choice, order: Sequence[int], picked: int, kept: bool) -> None:
    """Whether the pick was right, and why each option is right or wrong."""
    say = session.say
    if item.options[picked].right:
        st.success(say(RIGHT), icon=":material/check:")
    else:
        st.error(say(WRONG if kept else UNSAVED), icon=":material/close:")
    lines = []
    for place, index in enumerate(order):
        option = item.options[index]
        mark = ":green[:material/check_circle:]" if option.right else ":red[:material/cancel:]"
        yours = f" :gray-badge[{say(YOURS)}]" if index == picked else ""
        lines.append(f"{mark} **{LETTERS[place]}**  {say(option.text)}{yours}\n\n{say(option.why)}")
    st.markdown("\n\n---\n\n".join(lines))
