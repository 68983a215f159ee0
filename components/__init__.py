"""Reusable pieces of the screens. Everything of Streamlit that is not a whole screen lives here."""
