"""Questions: find one by typing, filter, and see how far each has come."""

from collections.abc import Mapping

import streamlit as st

from components import library, memory, session
from components.places import QUESTION, REVIEW
from language import Text
from study import queue
from study.question import Bank, Question, Topic

TITLE = Text("Thirty-five questions to say out loud", "三十五问，开口来答")
LEAD = Text(
    "Pick a question, say your answer, then check it against the model answer and its live experiment.",
    "选一道题，先说出你的回答，再对照参考答案，动手做实验验证。",
)
SEARCH = Text("Search", "搜索")
HINT = Text("softmax, padding, RoPE …", "softmax、掩码、RoPE……")
TOPIC, LEVEL, STATE = Text("Topic", "主题"), Text("Level", "级别"), Text("State", "进度")
ALL = Text("All", "全部")
LEVELS = {"core": Text("core", "基础"), "deep": Text("deep", "深入"), "systems": Text("systems", "系统")}
STATES = {
    "new": Text("new", "未学"),
    "learning": Text("learning", "学习中"),
    "due": Text("due", "待复习"),
    "known": Text("known", "已掌握"),
}
COLORS = {"new": "gray", "learning": "orange", "due": "red", "known": "green"}
NONE_FOUND = Text("No question matches. Try fewer words, or clear the filters.", "没有匹配的题目。换个词，或清除筛选。")
CLEAR = Text("Clear filters", "清除筛选")
DUE_NOW = Text("{count} cards are due", "有 {count} 张卡片待复习")
START = Text("Review now", "开始复习")
BROKEN = Text("{count} problems in question files", "题目文件有 {count} 处问题")
FILTERS = ("search", "topic", "level", "state")


def matches(question: Question, words: str) -> bool:
    """Whether every word of `words` occurs in the question, its answer or its key points, in either language."""
    texts = [question.title, question.prompt, question.short, *(point.text for point in question.key_points)]
    haystack = " ".join([str(question.number), question.id, *(f"{text.en} {text.zh}" for text in texts)]).lower()
    return all(word in haystack for word in words.lower().split())


def clear() -> None:
    """Put every filter back."""
    for name in FILTERS:
        st.session_state[f"filter {name}"] = "" if name == "search" else None


def filters(bank: Bank) -> tuple[str, list[str | None]]:
    """What is searched for, and the chosen topic, level and state; None means all."""
    say = session.say
    options = {
        "topic": (TOPIC, {topic.id: topic.title for topic in bank.topics}),
        "level": (LEVEL, LEVELS),
        "state": (STATE, STATES),
    }
    for name in FILTERS:
        key = f"filter {name}"
        st.session_state[key] = st.session_state.get(key, "" if name == "search" else None)
    columns = st.columns([5, 3, 2, 2], vertical_alignment="bottom")
    with columns[0]:
        icon = ":material/search:"
        words = st.text_input(say(SEARCH), key="filter search", live=True, placeholder=say(HINT), icon=icon)
    chosen: list[str | None] = []
    for column, (name, (label, texts)) in zip(columns[1:], options.items(), strict=True):
        names = {key: say(text) for key, text in texts.items()}
        with column:
            key, shown = f"filter {name}", session.naming(names)
            chosen.append(
                st.selectbox(say(label), list(names), index=None, key=key, placeholder=say(ALL), format_func=shown)
            )
    return words or "", chosen


def row(question: Question, state: str, progress: float) -> None:
    """One question: a link with its number, title, and how far it has come."""
    say = session.say
    marks = f" :small[:gray[{say(LEVELS[question.level])}]]"
    if state != "new":
        done = f" {progress:.0%}" if state == "learning" else ""
        marks += f" :{COLORS[state]}-badge[{say(STATES[state])}{done}]"
    label = f":gray[{question.number:02}]  {say(question.title)}{marks}"
    st.page_link(QUESTION, label=label, query_params={"number": str(question.number)}, width="stretch")


def group(topic: Topic, members: list[Question], states: Mapping[str, str], progress: Mapping[str, float]) -> None:
    """The questions of one topic on a card of their own."""
    with st.container(border=True, gap="xsmall", key=f"topic-{topic.id}", height="stretch"):
        st.markdown(f"#### {session.say(topic.title)}")
        for question in members:
            row(question, states[question.id], progress[question.id])


def page() -> None:
    """The screen."""
    say, bank, cards = session.say, library.questions(), library.all_cards()
    memories, now = memory.memories() if memory.is_ready() else {}, session.now()
    states = queue.states_by_question(cards, memories, now)
    progress = queue.progress_by_question(cards, memories, now)
    st.title(say(TITLE), anchor=False)
    st.markdown(say(LEAD))
    due = len(queue.due(cards, memories, now))
    if due:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f":material/notifications_active: **{say(DUE_NOW).format(count=due)}**", width="content")
            st.page_link(REVIEW, label=say(START), icon=":material/play_arrow:")
    words, (topic, level, state) = filters(bank)
    found = [
        question
        for question in bank.questions
        if matches(question, words)
        and topic in (None, question.topic)
        and level in (None, question.level)
        and state in (None, states[question.id])
    ]
    cards_of_topics = st.grid(2, min_column_width=340, gap="medium")
    for topic_shown in bank.topics:
        members = [question for question in found if question.topic == topic_shown.id]
        if members:
            with cards_of_topics:
                group(topic_shown, members, states, progress)
    if not found:
        st.info(say(NONE_FOUND), icon=":material/search_off:")
        st.button(say(CLEAR), on_click=clear)
    if bank.problems:
        with st.expander(say(BROKEN).format(count=len(bank.problems)), icon=":material/report:"):
            st.code("\n".join(map(str, bank.problems)), language=None)


page()
