"""Viva: rehearse a Transformer interview. Start it with `streamlit run app.py`, or `make run`."""

import streamlit as st

from components import shell

st.set_page_config(page_title="Viva", page_icon=":material/record_voice_over:", layout="wide")
shell.run()
