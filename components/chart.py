"""The figures of a demo: a title says what to see, an alt text says it to who cannot see it."""

from collections.abc import Sequence

import streamlit as st

from components import memory, session
from components.drawing import Drawing
from components.live_chart import live_charts
from components.live_figures import Follow
from demos.kit.contract import Picture
from language import Language, Text, resolved

PLAIN = "plain_controls"  # the setting of learners whose browser blocks scripts
CONFIG = {"displayModeBar": False, "scrollZoom": False}
REGRET = Text(
    "The figure could not be drawn; Settings offers plain figures. It would show:",
    "无法绘制此图；可在设置中改用普通图表。图的内容：",
)


def key(demo: str) -> str:
    """The widget key of the figures of `demo`, to which its sliders report."""
    return f"{demo} figures"


def drawings(pictures: Sequence[Picture], language: Language) -> list[Drawing]:
    """`pictures` with their texts in `language`."""
    return [
        Drawing(one.id, one.title.in_(language), one.alt.in_(language), resolved(one.figure, language))
        for one in pictures
    ]


def charts(demo: str, pictures: Sequence[Picture], columns: int, news: str, follow: Follow) -> None:
    """Draw `pictures`, following the theme. `news` is announced to who cannot see a claim flip."""
    drawn = drawings(pictures, session.language())
    if not memory.preference(PLAIN, False):
        live_charts(drawn, key(demo), session.say(REGRET), follow, news, columns)
        return
    with st.grid(columns, min_column_width=340, gap="large"):
        for one in drawn:
            with st.container():
                st.markdown(f"**{one.title}**")
                st.plotly_chart(one.figure, key=f"plain {demo} {one.id}", alt=one.alt, config=CONFIG)
