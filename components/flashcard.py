"""One flashcard: the front, and after the reveal the back with four ratings that say when the card returns."""

from collections.abc import Callable
from datetime import datetime, timedelta

import streamlit as st

from components import session
from components.places import QUESTION
from language import Text
from study.queue import Card
from study.schedule import Memory, Rating, preview

KINDS = {
    "say": Text("Say it in 30 seconds", "30 秒说清楚"),
    "recall": Text("Recall", "回忆"),
    "choice": Text("Missed in the quiz", "测验答错"),
}
REVEAL = Text("Show answer", "显示答案")
RATINGS = {
    Rating.Again: Text("Again", "忘了"),
    Rating.Hard: Text("Hard", "吃力"),
    Rating.Good: Text("Good", "记得"),
    Rating.Easy: Text("Easy", "轻松"),
}
OPEN = Text("Question {number}", "第 {number} 题")
UNITS = (
    (timedelta(days=365), Text("{n:.1f} y", "{n:.1f} 年")),
    (timedelta(days=30), Text("{n:.1f} mo", "{n:.1f} 个月")),
    (timedelta(days=1), Text("{n:.0f} d", "{n:.0f} 天")),
    (timedelta(hours=1), Text("{n:.0f} h", "{n:.0f} 小时")),
    (timedelta(minutes=1), Text("{n:.0f} min", "{n:.0f} 分钟")),
)


def interval(length: timedelta) -> Text:
    """A length of time as the rating buttons show it: 10 min, 3 d, 1.4 mo."""
    for unit, words in UNITS:
        if length >= unit * 0.95:
            n = length / unit
            return Text(words.en.format(n=n), words.zh.format(n=n))
    return Text("< 1 min", "不到 1 分钟")


def front(card: Card) -> None:
    """What is asked."""
    say = session.say
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        st.markdown(f":violet-badge[{say(KINDS[card.kind])}]", width="content")
        label = say(OPEN).format(number=card.number)
        st.page_link(QUESTION, label=f":small[{label}]", query_params={"number": str(card.number)}, width="content")
    st.markdown(say(card.front) if card.kind == "recall" else f"**{say(card.front)}**")


def reveal_button(reveal: Callable[[], None]) -> None:
    """Space or Enter turns the card."""
    st.button(session.say(REVEAL), key="reveal", type="primary", width="stretch", shortcut="Space", on_click=reveal)


def back(card: Card) -> None:
    """What should have been said."""
    st.markdown(f"---\n\n{session.say(card.back)}")


def rating_bar(memory: Memory | None, now: datetime, rate: Callable[[Rating], None]) -> None:
    """Again, Hard, Good, Easy, each with the interval it gives; keys 1 to 4."""
    gives = preview(memory, now)
    columns = st.columns(4, gap="xsmall", wrap=False)
    for column, (rating, words) in zip(columns, RATINGS.items(), strict=True):
        label = f"**{session.say(words)}**  \n:small[{session.say(interval(gives[rating]))}]"
        with column:
            st.button(
                label,
                key=f"rate {rating.value}",
                width="stretch",
                type="primary" if rating is Rating.Good else "secondary",
                shortcut=str(rating.value),
                on_click=rate,
                args=(rating,),
            )
