"""Viva: rehearse a Transformer interview. `streamlit run app.py` and `uvicorn app:app` serve the same app."""

import streamlit as st

if __name__ == "__main__":  # a visit: Streamlit runs this file for every page
    from components import shell

    st.set_page_config(page_title="Viva", layout="wide")
    shell.run()
else:  # the server, started once
    from components import server

    app = st.App(__file__, lifespan=server.lifespan, routes=server.routes(), middleware=server.MIDDLEWARE)
