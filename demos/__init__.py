"""Live demos, one file each. Adding a demo is adding a file; nothing else is edited. No Streamlit here."""
