"""One question: think first, then the answer in steps; its live demo beside the text."""

import streamlit as st

from components import address, library, session
from components.answer import answer
from components.places import QUESTION, QUESTIONS
from language import Text
from study.question import DemoLink, Question

LEVELS = {"core": Text("core", "基础"), "deep": Text("deep", "深入"), "systems": Text("systems", "系统")}
MISSING = Text("There is no question {given}. Showing question {used}.", "没有第 {given} 题，已显示第 {used} 题。")
EMPTY = Text(
    "No question can be shown. Run `python -m questions` to see why.",
    "没有可显示的题目。运行 `python -m questions` 查看原因。",
)
ALL = Text("All questions", "全部题目")
PREVIOUS, NEXT = Text("Previous", "上一题"), Text("Next", "下一题")
LOOK_FOR = Text("Look for", "观察要点")
LIVE = Text("Live demo", "实时演示")
LOADING = Text("Starting PyTorch …", "正在启动 PyTorch……")


def chosen(questions: tuple[Question, ...]) -> Question:
    """The question the address asks for; an unusable number is said, and the nearest question shown."""
    wanted, usable = address.number("number", st.session_state.get("question number", 1))
    nearest = min(questions, key=lambda question: abs(question.number - wanted))
    if nearest.number != wanted or not usable:
        given = st.query_params.get("number", "")[:20].replace("`", "")
        st.warning(session.say(MISSING).format(given=f"`{given}`", used=nearest.number), icon=":material/link_off:")
    st.session_state["question number"] = nearest.number
    st.query_params["number"] = str(nearest.number)  # always: a link to this same page leaves the address as it was
    return nearest


def steps(questions: tuple[Question, ...], question: Question) -> None:
    """The way back, and to the questions before and after."""
    place = questions.index(question)
    with st.container(horizontal=True, horizontal_alignment="distribute", key="steps"):
        st.page_link(QUESTIONS, label=session.say(ALL), icon=":material/arrow_back:")
        with st.container(horizontal=True, width="content"):
            for label, icon, other in ((PREVIOUS, "chevron_left", place - 1), (NEXT, "chevron_right", place + 1)):
                inside = 0 <= other < len(questions)
                number = str(questions[other].number) if inside else ""
                st.page_link(
                    QUESTION,
                    label=session.say(label),
                    icon=f":material/{icon}:",
                    icon_position="right" if label is NEXT else "left",
                    query_params={"number": number},
                    disabled=not inside,
                )


def demo(question: Question, link: DemoLink) -> None:
    """The live demo of the question, drawn when torch is ready; the text above is readable meanwhile."""
    say = session.say
    st.markdown(f"### {say(LIVE)}\n\n:material/visibility: **{say(LOOK_FOR)}:** {say(link.look_for)}")
    with st.spinner(say(LOADING), show_time=False):
        from components.demo_panel import demo_panel

    demo_panel(link.id, {"number": str(question.number)}, [(preset.label, preset.params) for preset in link.presets])


def page() -> None:
    """The screen."""
    bank = library.questions()
    if not bank.questions:
        st.error(session.say(EMPTY))
        return
    question = chosen(bank.questions)
    topic = next(topic for topic in bank.topics if topic.id == question.topic)
    say = session.say
    steps(bank.questions, question)
    st.markdown(f":gray[{question.number:02} · {say(topic.title)} · {say(LEVELS[question.level])}]")
    st.header(say(question.title), anchor=False)
    reading, seeing = st.columns([6, 5], gap="large")
    with reading:
        st.markdown(f"**{say(question.prompt)}**")
        answer(question)
    for link in question.demos:
        with seeing:
            demo(question, link)


page()
