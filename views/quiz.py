"""Quiz: multiple choice over the complete questions; every option explained, misses become due in Review."""

import random

import streamlit as st

from components import choice, library, memory, session
from components.places import QUESTION, QUESTIONS, REVIEW
from components.session import QuizRun
from components.shell import narrow
from language import Text
from study.question import Bank, Choice, Question
from study.queue import choice_card

TITLE = Text("Quiz", "测验")
LEAD = Text("{count} multiple-choice items. Every option explains itself; a miss comes back in Review.",
            "共 {count} 道选择题。每个选项都有解释；答错的会进入复习。")  # fmt: skip
TOPICS, HOW_MANY = Text("Topics", "主题"), Text("Items", "题数")
ALL_TOPICS = Text("all topics", "全部主题")
START, NEXT, FINISH = Text("Start", "开始"), Text("Next", "下一题"), Text("See the score", "查看得分")
PLACE = Text("Item {place} of {total} · {right} right so far", "第 {place}/{total} 题 · 已答对 {right} 题")
SCORE = Text("{right} of {total} right", "答对 {right}/{total}")
MISSED = Text("Missed", "答错的题")
KEPT = Text("They are due in Review now.", "已加入待复习。")
PERFECT = Text("Nothing missed. Say one of these answers out loud next: recognising is easier than recalling.",
               "全部答对。接下来挑一道开口说一遍：认得出不等于说得出。")  # fmt: skip
AGAIN, TO_REVIEW = Text("Another quiz", "再测一次"), Text("Review the misses", "复习错题")
LEAVE = Text("Leave", "退出")
NONE = Text("No question has multiple-choice items yet.", "还没有带选择题的题目。")
TO_QUESTIONS = Text("Read the questions", "去读题目")
FROM = Text("Question {number}: {title}", "第 {number} 题：{title}")

Item = tuple[Question, Choice]


def items(bank: Bank, topics: list[str] | None = None) -> list[Item]:
    """All multiple-choice items, of `topics` when given."""
    chosen = [question for question in bank.questions if not topics or question.topic in topics]
    return [(question, item) for question in chosen for item in question.choices]


def draw(found: list[Item], count: int) -> QuizRun:
    """`count` items in a random order, each with its options in a random order."""
    drawn = random.sample(found, min(count, len(found)))
    orders = [random.sample(range(len(item.options)), len(item.options)) for _, item in drawn]
    return QuizRun([(question.id, item.id) for question, item in drawn], orders, [session.new_token() for _ in drawn])


def start_screen(bank: Bank) -> None:
    """What will be asked, and the start button."""
    say, every = session.say, items(bank)
    if not every:
        st.info(say(NONE))
        st.page_link(QUESTIONS, label=say(TO_QUESTIONS), icon=":material/menu_book:")
        return
    st.markdown(say(LEAD).format(count=len(every)))
    titles = {topic.id: say(topic.title) for topic in bank.topics if items(bank, [topic.id])}
    st.session_state.setdefault("quiz topics", [])
    st.session_state["quiz topics"] = st.session_state["quiz topics"]
    topics = st.multiselect(
        say(TOPICS),
        list(titles),
        key="quiz topics",
        placeholder=say(ALL_TOPICS),
        format_func=session.naming(titles),
    )
    found = items(bank, topics)
    sizes = sorted({min(size, len(found)) for size in (5, 10, 20)})
    size = st.segmented_control(say(HOW_MANY), sizes, default=sizes[0], required=True, key=f"quiz size {sizes}")

    def start() -> None:
        session.keep_quiz(draw(found, size or sizes[0]))

    st.button(say(START), type="primary", on_click=start, icon=":material/play_arrow:", key="start quiz")


def question_screen(run: QuizRun, question: Question, item: Choice) -> None:
    """One item, before and after its answer."""
    say, place = session.say, run.place
    order, answered = run.orders[place], len(run.answers) > place
    st.progress((place + answered) / len(run.items), text=progress_line(run))

    def pick(option: int) -> None:
        if len(run.answers) > place:
            return
        right, now = item.options[option].right, session.now()
        kept = memory.attempt(
            lambda store: store.answer_quiz(question.id, item.id, option, right, now, run.tokens[place]), None
        )
        run.answers.append(option)
        run.kept.append(kept is not None)

    def advance() -> None:
        run.place += 1

    with st.container(border=True, key="item"):
        st.markdown(say(item.ask))
        if not answered:
            choice.options(item, order, pick)
        else:
            choice.explanation(item, order, run.answers[place], run.kept[place])
            label = say(FROM).format(number=question.number, title=say(question.title))
            st.page_link(
                QUESTION, label=label, icon=":material/menu_book:", query_params={"number": str(question.number)}
            )
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        if answered:
            last = place + 1 == len(run.items)
            st.button(say(FINISH if last else NEXT), type="primary", key="next", shortcut="Enter", on_click=advance)
        st.button(say(LEAVE), type="tertiary", on_click=session.keep_quiz, args=(None,), key="leave")


def progress_line(run: QuizRun) -> str:
    """Where we are, and the score so far."""
    right = sum(item.options[option].right for (_, item), option in zip(found(run), run.answers, strict=False))
    return session.say(PLACE).format(place=run.place + 1, total=len(run.items), right=right)


def found(run: QuizRun) -> list[Item]:
    """The items of a run as the bank has them now."""
    by_id = {(question.id, item.id): (question, item) for question, item in items(library.questions())}
    return [by_id[key] for key in run.items if key in by_id]


def score_screen(run: QuizRun, asked: list[Item]) -> None:
    """The score, what was missed, and what to do next."""
    say = session.say
    answered = list(zip(asked, run.answers, run.kept, strict=False))
    missed = [pair for pair, option, _ in answered if not pair[1].options[option].right]
    due = [
        choice_card(q.id, item.id) for (q, item), option, kept in answered if kept and not item.options[option].right
    ]
    st.header(say(SCORE).format(right=len(asked) - len(missed), total=len(asked)), anchor=False)
    if missed:
        st.markdown(f"##### {say(MISSED)}\n\n{say(KEPT) if due else ''}")
        for question, item in missed:
            st.page_link(
                QUESTION,
                label=f":gray[{question.number:02}] {say(item.ask)}",
                query_params={"number": str(question.number)},
            )
    else:
        st.markdown(say(PERFECT))
    with st.container(horizontal=True):
        st.button(say(AGAIN), type="primary", on_click=session.keep_quiz, args=(None,), icon=":material/replay:")
        if due and st.button(say(TO_REVIEW), icon=":material/style:", key="review misses"):
            session.new_sitting(due)
            st.switch_page(REVIEW)


def page() -> None:
    """The screen."""
    bank, run = library.questions(), session.quiz()
    with narrow(720, "quiz"):
        st.title(session.say(TITLE), anchor=False)
        asked = found(run) if run else []
        if run is None or len(asked) != len(run.items):  # a question file changed under the quiz: start over
            start_screen(bank)
        elif run.place < len(asked):
            question_screen(run, *asked[run.place])
        else:
            score_screen(run, asked)


page()
