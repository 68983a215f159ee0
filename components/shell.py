"""The frame around every screen: navigation, the language switch, and word of a store that cannot be used."""

from pathlib import Path
from urllib.parse import quote

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.PageConfig_pb2 import PageConfig
from streamlit.runtime.scriptrunner import get_script_run_ctx

from components import memory, places, session, warmup
from language import LANGUAGES, Language, Text

NAMES = {"en": "EN", "zh": "&#20013;&#25991;"}  # 中文: a label outside ASCII brings Streamlit's catalogue of emojis
LANGUAGE = Text("Language", "语言")
STYLE = Path(__file__).with_name("viva.css")
ICON = "data:image/svg+xml," + quote(Path(__file__).with_name("viva.svg").read_text(encoding="utf-8"))
PAGES = {
    places.QUESTIONS: (Text("Questions", "题库"), ":material/menu_book:", "home"),
    places.QUESTION: (Text("Question", "题目"), ":material/article:", "question"),
    places.REVIEW: (Text("Review", "复习"), ":material/style:", "review"),
    places.QUIZ: (Text("Quiz", "测验"), ":material/quiz:", "quiz"),
    places.LAB: (Text("Lab", "实验室"), ":material/science:", "lab"),
    places.SETTINGS: (Text("Settings", "设置"), ":material/settings:", "settings"),
}


def run() -> None:
    """Draw the frame and the chosen screen in it."""
    warmup.start()
    _show_icon()
    st.html(STYLE)
    early = not memory.is_ready()
    session.start_language(None if early else memory.preference("language", ""), final=not early)
    pages = [
        st.Page(path, title=session.say(title), icon=icon, url_path=name, default=path == places.QUESTIONS)
        for path, (title, icon, name) in PAGES.items()
    ]
    # A default page answers at "/" alone; a bookmark of /questions must work too.
    pages.append(st.Page(places.QUESTIONS, title=pages[0].title, url_path="questions", visibility="hidden"))
    page = st.navigation(pages, position="top")
    if early and page not in (pages[0], pages[-1]):  # only the list of questions has something to show without it
        session.start_language(memory.preference("language", ""))
        st.rerun()
    _language_switch()
    fault = st.container()
    with warmup.held_back():
        page.run()
    warmup.page_drawn()
    if early:
        _follow_up()
    with fault:
        memory.show_fault()


@st.fragment(run_every=0.25)
def _follow_up() -> None:
    """Draw the page again with the learner's progress and language, as soon as the store answers."""
    if memory.is_ready():
        st.rerun()


def _show_icon() -> None:
    """Put Viva's icon on the browser's tab; without one the browser asks the network for that of the page.

    What `st.set_page_config(page_icon=…)` does, which imports numpy and Pillow on the way to the first page.
    """
    context, message = get_script_run_ctx(), ForwardMsg()
    message.page_config_changed.favicon = ICON
    message.page_config_changed.layout = PageConfig.LAYOUT_UNSET  # the rest stays as it is
    message.page_config_changed.initial_sidebar_state = PageConfig.SIDEBAR_UNSET
    if context is not None:
        context.enqueue(message)


def narrow(width: int, key: str) -> DeltaGenerator:
    """A column of `width` px in the middle of the page, for screens that hold one thing."""
    return st.container(horizontal_alignment="center").container(width=width, key=key)


def switch_language(language: Language | None) -> None:
    """Use `language` from now on, here and after a restart; the page stays where it is."""
    if language is None:
        return
    session.use_language(language)
    memory.keep_preference("language", language)
    if "lang" in st.query_params:
        st.query_params["lang"] = language


def _language_switch() -> None:
    st.session_state["language switch"] = session.language()
    with st.container(horizontal=True, horizontal_alignment="right", key="language"):
        st.segmented_control(
            session.say(LANGUAGE),
            LANGUAGES,
            format_func=lambda name: NAMES[name],
            key="language switch",
            label_visibility="collapsed",
            on_change=lambda: switch_language(st.session_state["language switch"]),
        )
