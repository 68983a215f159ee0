"""One figure of a demo: its title says what to see, its alt text says it to who cannot see it."""

import streamlit as st

from components import memory, session
from components.live_chart import live_chart
from demos.kit.contract import Picture
from language import Text, resolved

PLAIN = "plain_controls"  # the setting of learners whose browser blocks scripts
CONFIG = {"displayModeBar": False, "scrollZoom": False}
REGRET = Text(
    "The figure could not be drawn; Settings offers plain figures. It would show:",
    "无法绘制此图；可在设置中改用普通图表。图的内容：",
)


def chart(picture: Picture, key: str, news: str = "") -> None:
    """Draw `picture` under its title, following the theme. `news` is announced to who cannot see a claim flip."""
    language = session.language()
    alt = picture.alt.in_(language)
    title, figure = picture.title.in_(language), resolved(picture.figure, language)
    if memory.preference(PLAIN, False):
        st.markdown(f"**{title}**")
        st.plotly_chart(figure, key=f"plain {key}", alt=alt, config=CONFIG)
    else:
        live_chart(figure, key, title, alt, session.say(REGRET), news)
