"""The model answer of a question, section by section, each shown when the learner asks for it."""

import re

import streamlit as st

from components import memory, session
from language import Language, Text
from study.question import Question, Source

THINK = Text(
    "Say your answer out loud first. Two minutes of trying teach more than ten of reading.",
    "先自己说一遍。开口试两分钟，胜过读十分钟。",
)
SHOW_SHORT = Text("Show the 30-second answer", "看 30 秒回答")
SHOW_FULL = Text("Show the full answer", "看完整回答")
SHORT = Text("In 30 seconds", "30 秒回答")
FULL = Text("The full answer", "完整回答")
RUBRIC = Text("What a good answer says", "评分要点")
CORE = Text("core", "必答")
EVIDENCE = Text("proven in the demo", "演示可验证")
TRAPS = Text("Traps", "常见误区")
FOLLOW_UPS = Text("What they ask next", "追问")
SOURCES = Text("Sources", "出处")
UNOPENED = Text("cited without a locator", "未标注章节")
PARTS = {  # what a locator may say outside `code` and "headings"; a longer phrase before the words in it
    "training algorithm": "训练算法",
    "parameter counts": "参数量",
    "reference code": "参考代码",
    "boolean masks": "布尔掩码",
    "authors' post": "作者博文",
    "public copies": "公开副本",
    "test-time scaling": "测试时缩放",
    "word alignment": "词对齐",
    "whole file": "全文",
    "total norm": "总范数",
    "abstract": "摘要",
    "appendix": "附录",
    "theorem": "定理",
    "lemma": "引理",
    "algorithm": "算法",
    "table": "表",
    "figure": "图",
    "row": "行",
    "bullet": "要点",
    "step": "步",
    "section": "小节",
    "opening": "开头",
    "pattern": "模式",
    "challenge": "挑战",
    "parameter": "参数",
    "footnote": "脚注",
    "note": "说明",
    "warning": "警告",
    "summary": "小结",
    "example": "示例",
    "description": "说明",
    "overview": "概述",
    "and": "与",
}
PART = re.compile(rf"`[^`]*`|\"[^\"]*\"|\b({'|'.join(PARTS)})s?\b", re.IGNORECASE)
ALWAYS = "show_answers"


def answer(question: Question) -> None:
    """All that can be read about `question`, hidden behind the learner's own attempt unless they prefer otherwise."""
    open_always = memory.preference(ALWAYS, False)
    stage = 2 if open_always else session.stage(question.id)
    if stage == 0:
        st.markdown(f":gray[{session.say(THINK)}]")
        _step(question, SHOW_SHORT, "short")
        return
    _short(question)
    if stage == 1:
        _step(question, SHOW_FULL, "full")
        return
    _full(question)
    _rubric(question)
    _traps(question)
    _follow_ups(question)
    _sources(question.sources)


def _step(question: Question, label: Text, name: str) -> None:
    def advance() -> None:
        session.keep_stage(question.id, session.stage(question.id) + 1)

    st.button(session.say(label), key=f"{question.id} show {name}", type="primary", on_click=advance)


def _short(question: Question) -> None:
    with st.container(border=True, key=f"short-{question.id}"):
        st.markdown(f"##### {session.say(SHORT)}\n\n{session.say(question.short)}")


def _full(question: Question) -> None:
    st.markdown(f"### {session.say(FULL)}\n\n{session.say(question.answer)}")


def _rubric(question: Question) -> None:
    say = session.say
    lines = [f"### {say(RUBRIC)}"]
    for point in question.key_points:
        badges = f" :orange-badge[{say(CORE)}]" if point.core else ""
        badges += f" :green-badge[:material/science: {say(EVIDENCE)}]" if point.evidence else ""
        lines.append(f"- {say(point.text)}{badges}")
    st.markdown("\n".join([lines[0], "", *lines[1:]]))


def _traps(question: Question) -> None:
    say = session.say
    traps = [f":red[:material/close:] *{say(trap.claim)}*\n\n{say(trap.why)}" for trap in question.traps]
    st.markdown(f"### {say(TRAPS)}\n\n" + "\n\n---\n\n".join(traps))


def _follow_ups(question: Question) -> None:
    say = session.say
    st.markdown(f"### {say(FOLLOW_UPS)}")
    for item in question.follow_ups:
        with st.expander(say(item.ask), key=f"{question.id} {item.id}"):
            st.markdown(say(item.answer))


def located(locator: str, language: Language) -> str:
    """Where in an English source, its parts called as the learner calls them; code and headings stay as they are."""
    if language == "en":
        return locator
    return PART.sub(lambda found: PARTS[found[1].lower()] if found[1] else found[0], locator)


def _sources(sources: tuple[Source, ...]) -> None:
    lines = [f"### {session.say(SOURCES)}", ""]
    for source in sources:
        place = (
            f", {located(source.locator, session.language())}"
            if source.locator
            else f" :gray[({session.say(UNOPENED)})]"
        )
        lines.append(f"- {source.authors}, [{source.title}]({source.url}), {source.year}{place}")
    st.markdown("\n".join(lines))
