"""Settings: language, answers, new cards, device, and where the learner's memory is kept."""

import streamlit as st

from components import answer, chart, memory, predict, session
from components.shell import narrow, switch_language
from language import LANGUAGES, Text

TITLE = Text("Settings", "设置")
LANGUAGE = Text("Language", "语言")
NAMES = {"en": "English", "zh": "中文"}
STUDY = Text("Study", "学习")
SHOW = Text("Show answers at once", "直接显示答案")
SHOW_HELP = Text("Off: you are asked to try first.", "关闭时，会先请你自己作答。")
PREDICT = Text("Predict before a demo runs", "演示前先预测")
PLAIN = Text("Plain figures and sliders", "使用普通图表和滑块")
PLAIN_HELP = Text(
    "For browsers that block scripts: Streamlit's own figures and sliders, which follow on release.",
    "浏览器拦截脚本时使用：改用 Streamlit 自带的图表和滑块，松手后才更新。",
)
NEW = Text("New cards a day", "每天新卡数")
MACHINE = Text("Compute", "计算")
DEVICE = Text("Device for the demos", "演示使用的设备")
AUTO = Text("Automatic", "自动")
LOADING = Text("Looking for devices …", "正在检测设备……")
WHERE = Text(
    "Your progress is kept in `{path}`. Nothing leaves this machine.", "学习记录保存在 `{path}`，不会离开这台机器。"
)
MEMORY = Text("Memory", "记录")


def kept(key: str, widget: str) -> None:
    """Keep the setting that a widget shows."""
    memory.keep_preference(key, st.session_state[widget])


def toggle(label: Text, key: str, default: bool, help: Text | None = None) -> None:
    """A yes/no setting."""
    widget = f"setting {key}"
    st.session_state[widget] = memory.preference(key, default)
    words = session.say(help) if help else None
    st.toggle(session.say(label), key=widget, help=words, on_change=kept, args=(key, widget))


def devices() -> None:
    """Which device computes the demos."""
    with st.spinner(session.say(LOADING), show_time=False):
        from components.demo_panel import device_names
    options = {"auto": session.say(AUTO), **device_names()}
    saved = memory.preference("device", "auto")
    st.session_state["setting device"] = saved if saved in options else "auto"
    st.selectbox(
        session.say(DEVICE), list(options), key="setting device", on_change=kept, args=("device", "setting device"),
        format_func=session.naming(options),
    )  # fmt: skip


def page() -> None:
    """The screen."""
    say = session.say
    with narrow(640, "settings"):
        st.title(say(TITLE), anchor=False)
        st.session_state["setting language"] = session.language()
        st.radio(
            say(LANGUAGE), LANGUAGES, key="setting language", horizontal=True, format_func=session.naming(NAMES),
            on_change=lambda: switch_language(st.session_state["setting language"]),
        )  # fmt: skip
        st.subheader(say(STUDY), anchor=False)
        toggle(SHOW, answer.ALWAYS, False, SHOW_HELP)
        toggle(PREDICT, predict.PREFERENCE, True)
        toggle(PLAIN, chart.PLAIN, False, PLAIN_HELP)
        st.session_state["setting new_cards"] = memory.new_cards_a_day()
        st.slider(
            say(NEW),
            0,
            memory.MOST_NEW_CARDS,
            key="setting new_cards",
            on_change=kept,
            args=("new_cards", "setting new_cards"),
        )
        st.subheader(say(MACHINE), anchor=False)
        devices()
        path = memory.attempt(lambda store: store.path, None)
        if path:
            st.subheader(say(MEMORY), anchor=False)
            st.markdown(say(WHERE).format(path=path))


page()
