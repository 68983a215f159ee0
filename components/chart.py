"""One figure of a demo: its title says what to see, its alt text says it to who cannot see it."""

import streamlit as st

from components import session
from demos.kit.contract import Picture
from language import resolved

CONFIG = {"displayModeBar": False, "scrollZoom": False}


def chart(picture: Picture, key: str) -> None:
    """Draw `picture` under its title, following the theme."""
    language = session.language()
    st.markdown(f"**{picture.title.in_(language)}**")
    figure = resolved(picture.figure, language)
    st.plotly_chart(figure, key=key, alt=picture.alt.in_(language), config=CONFIG)
