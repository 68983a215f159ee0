"""Lab: every live demo; pick one, turn its knobs, share its state."""

import streamlit as st

from components import library, session
from components.places import LAB, QUESTION
from language import Text

TITLE = Text("Lab", "实验室")
LEAD = Text("Every answer here can be tested. Turn a knob and watch the claim hold, or find where it stops.",
            "这里的每个结论都能动手验证。转动旋钮，看结论是否成立，又在哪里失效。")  # fmt: skip
ALL = Text("All demos", "全部演示")
OPEN = Text("Open", "打开")
PROVES = Text("Question {number}: {title}", "第 {number} 题：{title}")
MISSING = Text("There is no demo {given}. Here are all of them.", "没有名为 {given} 的演示。全部演示如下。")
LOADING = Text("Starting PyTorch …", "正在启动 PyTorch……")


def numbers() -> dict[str, int]:
    """The question that each demo belongs to."""
    return {link.id: question.number for question in library.questions().questions for link in question.demos}


def gallery(names: list[str]) -> None:
    """A card per demo."""
    from components.demo_panel import demo_record

    say, owner = session.say, numbers()
    st.markdown(say(LEAD))
    cards = st.grid(2, min_column_width=320, gap="medium")
    for name in sorted(names, key=lambda name: owner.get(name, 999)):
        demo = demo_record(name)
        with cards, st.container(border=True, key=f"demo-{name}"):
            number = f":gray[{owner[name]:02}]  " if name in owner else ""
            st.markdown(f"##### {number}{say(demo.title)}\n\n{say(demo.summary)}")
            st.page_link(LAB, label=say(OPEN), icon=":material/science:", query_params={"demo": name})


def one(name: str) -> None:
    """One demo at full width."""
    from components.demo_panel import demo_panel, demo_record

    say, demo = session.say, demo_record(name)
    st.page_link(LAB, label=say(ALL), icon=":material/arrow_back:", query_params={})
    st.header(say(demo.title), anchor=False)
    st.markdown(say(demo.summary))
    bank, number = library.questions(), numbers().get(name)
    question = bank.by_number(number) if number else None
    if question:
        label = say(PROVES).format(number=question.number, title=say(question.title))
        st.page_link(QUESTION, label=label, icon=":material/menu_book:", query_params={"number": str(number)})
    demo_panel(name, {"demo": name}, columns=2)


def page() -> None:
    """The screen."""
    with st.spinner(session.say(LOADING), show_time=False):
        from components.demo_panel import demo_names
    names, wanted = demo_names(), st.query_params.get("demo", "")
    if wanted in names:
        st.query_params["demo"] = wanted  # always: a link to this same page leaves the address as it was
        one(wanted)
        return
    st.title(session.say(TITLE), anchor=False)
    if wanted:
        given = wanted[:40].replace("`", "")
        st.warning(session.say(MISSING).format(given=f"`{given}`"), icon=":material/link_off:")
    gallery(names)


page()
