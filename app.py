"""Viva: rehearse a Transformer interview. Start it with `streamlit run app.py`, or `make run`."""

from pathlib import Path

import streamlit as st

from components import shell

ICON = Path(__file__).with_name("components") / "viva.svg"

st.set_page_config(page_title="Viva", page_icon=str(ICON), layout="wide")
shell.run()
