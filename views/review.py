"""Review: flashcards at the moment they are due. Space reveals, 1–4 rate, U undoes, S skips."""

from collections import Counter

import streamlit as st

from components import flashcard, library, memory, session
from components.places import QUESTIONS, QUIZ
from components.session import Sitting
from components.shell import narrow
from language import Text
from study import queue
from study.queue import Card, Counts
from study.schedule import Memory, Rating

TITLE = Text("Review", "复习")
LEFT = Text("{due} due · {learning} learning · {new} new", "待复习 {due} · 学习中 {learning} · 新卡 {new}")
UNDO, SKIP = Text("Undo", "撤销"), Text("Skip", "跳过")
UNDO_HELP = Text("Take back the last rating (U)", "撤销上一次评分（U）")
SKIP_HELP = Text("Put this card aside for this sitting (S)", "本次先跳过这张卡片（S）")
DONE = Text("Done for now", "暂时复习完了")
SUMMARY = Text("{count} ratings: {parts}. ", "共 {count} 次评分：{parts}。")
SKIPPED = Text("{count} skipped.", "跳过 {count} 张。")
RETURNS = Text("The next card comes back in {when}.", "下一张卡片将在 {when}后到期。")
NOTHING = Text("Nothing is due.", "没有待复习的卡片。")
MORE = Text("Learn {count} more new cards", "再学 {count} 张新卡")
READ = Text("Read a question", "去读题目")
TAKE_QUIZ = Text("Take a quiz", "做一组测验")
MORE_AT_ONCE = 5


def new_left(cards: list[Card], memories: dict[str, Memory]) -> int:
    """How many new cards this day still introduces: the learner's setting less what today already brought."""
    now = session.now()
    today = now.astimezone(session.zone()).replace(hour=0, minute=0, second=0, microsecond=0)
    allowed = memory.new_cards_a_day() + st.session_state.get("extra new cards", 0)
    return max(0, allowed - queue.introduced(cards, memories, today))


def open_next(sitting: Sitting, cards: list[Card], memories: dict[str, Memory]) -> Card | None:
    """The card on the table; a new one is drawn when the last was rated or skipped."""
    by_id = {card.id: card for card in cards}
    if sitting.card not in by_id:
        limit = new_left(cards, memories)
        drawn = queue.next_card(cards, memories, session.now(), new_limit=limit, skipped=sitting.skipped)
        asked_for = next((id for id in sitting.first if id in by_id), drawn.id if drawn else None)
        sitting.first = [id for id in sitting.first if id != asked_for]
        sitting.card = asked_for
        sitting.token, sitting.revealed = session.new_token(), False
    return by_id.get(sitting.card or "")


def reveal() -> None:
    """Turn the card."""
    session.sitting().revealed = True


def rate(rating: Rating) -> None:
    """Keep the rating, then draw the next card; when it cannot be kept the card stays."""
    sitting = session.sitting()
    card, token = sitting.card, sitting.token
    if card is None or not sitting.revealed:
        return
    review = memory.attempt(lambda store: store.rate(card, rating, session.now(), token), None)
    if review is not None:
        sitting.rated.append(review)
        sitting.ratings.append((card, rating.value))
        sitting.card = None


def undo() -> None:
    """Take back the last rating of this sitting and lay that card on the table again."""
    sitting = session.sitting()
    if not sitting.rated:
        return
    review = sitting.rated[-1]
    token = session.new_token()
    undone = memory.attempt(lambda store: store.undo(session.now(), token, review=review), None)
    sitting.rated.pop()
    card, _ = sitting.ratings.pop()
    if undone is not None:
        sitting.card, sitting.token, sitting.revealed = card, session.new_token(), True


def skip() -> None:
    """Put the card aside for this sitting."""
    sitting = session.sitting()
    if sitting.card:
        sitting.skipped.add(sitting.card)
        sitting.card = None


def top(counts: Counts, sitting: Sitting) -> None:
    """What is left, and the two ways back and on."""
    say = session.say
    done = len(sitting.ratings)
    line = say(LEFT).format(due=counts.due, learning=counts.learning, new=counts.new)
    st.progress(done / max(1, done + counts.total), text=line)
    with st.container(horizontal=True, horizontal_alignment="right"):
        st.button(
            say(UNDO), key="undo", type="tertiary", icon=":material/undo:", shortcut="U", on_click=undo,
            disabled=not sitting.rated, help=say(UNDO_HELP),
        )  # fmt: skip
        if sitting.card:
            st.button(
                say(SKIP), key="skip", type="tertiary", icon=":material/skip_next:", shortcut="S", on_click=skip,
                help=say(SKIP_HELP),
            )  # fmt: skip


def summary(sitting: Sitting, cards: list[Card], memories: dict[str, Memory]) -> None:
    """The end of a sitting: what was done, when the next card is due, and what to do now."""
    say = session.say
    st.subheader(say(DONE if sitting.ratings else NOTHING), anchor=False)
    words = ""
    if sitting.ratings:
        tally = Counter(rating for _, rating in sitting.ratings)
        parts = " · ".join(
            f"{say(name)} {tally[rating]}" for rating, name in flashcard.RATINGS.items() if tally[rating]
        )
        words += say(SUMMARY).format(count=len(sitting.ratings), parts=parts)
    if sitting.skipped:
        words += say(SKIPPED).format(count=len(sitting.skipped)) + " "
    upcoming = queue.next_due(cards, memories)
    if upcoming and upcoming > session.now():
        words += say(RETURNS).format(when=say(flashcard.interval(upcoming - session.now())))
    if words:
        st.markdown(words)
    unseen = len(queue.new(cards, memories, MORE_AT_ONCE))
    with st.container(horizontal=True):
        if unseen:
            st.button(say(MORE).format(count=unseen), type="primary", on_click=more)
        st.page_link(QUESTIONS, label=say(READ), icon=":material/menu_book:", width="content")
        st.page_link(QUIZ, label=say(TAKE_QUIZ), icon=":material/quiz:", width="content")


def more() -> None:
    """Allow a few new cards beyond today's number and start a new sitting."""
    cards, memories = library.all_cards(), memory.memories()
    st.session_state["extra new cards"] = (
        st.session_state.get("extra new cards", 0)
        + MORE_AT_ONCE
        + (0 if new_left(cards, memories) == 0 else -new_left(cards, memories))
    )
    session.new_sitting()


def page() -> None:
    """The screen."""
    cards, memories, sitting = library.all_cards(), memory.memories(), session.sitting()
    with narrow(720, "review"):
        st.title(session.say(TITLE), anchor=False)
        card = open_next(sitting, cards, memories)
        limit = new_left(cards, memories)
        top(queue.counts(cards, memories, session.now(), new_limit=limit, skipped=sitting.skipped), sitting)
        if card is None:
            summary(sitting, cards, memories)
            return
        with st.container(border=True, key="card"):
            flashcard.front(card)
            if sitting.revealed:
                flashcard.back(card)
        if sitting.revealed:
            flashcard.rating_bar(memories.get(card.id), session.now(), rate)
        else:
            flashcard.reveal_button(reveal)


page()
