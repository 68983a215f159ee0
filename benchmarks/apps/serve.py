"""The minimal apps under uvicorn: `uvicorn serve:floor` and `uvicorn serve:pages`."""

from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent
floor = st.App(HERE / "floor.py")
pages = st.App(HERE / "pages.py")
