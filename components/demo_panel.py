"""The panel that draws any demo: prediction, controls, figures, claims, the code that ran and a link to this state."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from components import address, memory, predict, session, warmup
from components.chart import charts
from components.claims import claim_list
from components.controls import control, following, is_wide
from demos.kit import catalogue, device, knobs, runner
from demos.kit.contract import Demo, Preset
from demos.kit.lab import Lab
from demos.kit.runner import Outcome
from language import Text, resolved

CLAMPED = Text(
    "The link asked for {knob} = {given}; showing {used}.", "链接中的 {knob} = {given} 无法使用，已改为 {used}。"
)
PRESETS = Text("Look at", "看看这几种情况")
RESET = Text("Reset", "恢复默认")
RAN = Text("{seconds:.0f} ms on {device}", "在 {device} 上用时 {seconds:.0f} 毫秒")
CODE = Text("The code it runs", "运行的代码")
SHARE = Text("Link to this state", "当前状态的链接")
HOLDS, FAILS = Text("Holds again: {}", "重新成立：{}"), Text("Fails now: {}", "不再成立：{}")
UNUSUAL = Text("Nothing to draw here, and that is the lesson", "此处无图可画，原因正是要点")


def demo_panel(
    name: str, place: Mapping[str, str], presets: Sequence[tuple[Text, Mapping[str, Any]]] = (), columns: int = 1
) -> None:
    """Draw the demo `name` with its state in this tab.

    `place` is the page's own part of the address; `presets` (label, knobs) stand in for the demo's own.
    """
    demo = catalogue.load(name)
    _open(name, demo)
    notice = st.session_state.pop(f"notice {name}", None)
    if notice:
        st.warning(notice, icon=":material/tune:")
    given = tuple(Preset(label, demo.params(**params)) for label, params in presets)
    _live(name, place, given or demo.presets, columns)
    with st.expander(session.say(CODE), icon=":material/code:"):
        st.code(catalogue.source(name), language="python")


def _open(name: str, demo: Demo) -> None:
    """Take the state from the address the first time this tab opens the demo."""
    if session.has_params(name):
        return
    params, notices = address.read(name, demo.params, demo.params())
    session.keep_params(name, params)
    if address.has_state(name):
        session.raise_flag(f"shown {name}")
    lines = [
        session.say(CLAMPED).format(
            knob=session.say(notice.knob), given=_shown(notice.given), used=f"**{knobs.as_query(notice.used)}**"
        )
        for notice in notices
    ]
    if lines:
        st.session_state[f"notice {name}"] = "\n\n".join(lines)


@st.fragment
def _live(name: str, place: Mapping[str, str], presets: tuple[Preset, ...], columns: int) -> None:
    """Everything that changes when a knob is turned."""
    demo = catalogue.load(name)
    if not predict.is_open(name):
        predict.ask(name, demo)
        return
    _preset_row(name, demo, presets)
    _controls(name, demo, columns)
    _results(name, place, columns)


@st.fragment
def _results(name: str, place: Mapping[str, str], columns: int) -> None:
    """What a run shows; the sliders move its figures, which report here when the finger rests, and run this alone.

    Nothing above the figures may come and go, or they would be mounted anew and lose their zoom.
    """
    demo, params = catalogue.load(name), session.params(name)
    address.write(name, params)
    notes = st.container()
    outcome = _run(demo, params, notes)
    with notes:
        predict.verdict(name, demo, outcome)
        if outcome.problem:
            st.info(f"**{session.say(UNUSUAL)}.** {session.say(outcome.problem)}", icon=":material/lightbulb:")
    charts(name, outcome.pictures, columns, _news(name, outcome), following(name, _device()))
    ran = session.say(RAN).format(seconds=outcome.seconds * 1000, device=outcome.device)
    link = address.link(place, name, params, session.language())
    warmup.freeze_imports()
    claim_list(outcome.claims, f":small[:gray[{ran}]] · [{session.say(SHARE)}]({link})")


def _preset_row(name: str, demo: Demo, presets: tuple[Preset, ...]) -> None:
    key = f"{name} preset"
    states = [*presets, Preset(RESET, demo.params())]

    def applied() -> None:
        chosen = st.session_state[key]
        if chosen is not None:
            session.replace_params(name, states[chosen].params)
        st.session_state[key] = None

    labels = resolved([state.label for state in states], session.language())
    places = range(len(states))
    st.pills(session.say(PRESETS), places, format_func=lambda index: labels[index], key=key, on_change=applied)


def _controls(name: str, demo: Demo, columns: int) -> None:
    """The knobs, close together, so that the first figures are in sight of the slider that moves them."""
    params = session.params(name)
    values = {knob: getattr(params, knob) for knob in knobs.knobs_of(demo.params)}
    shown = [(field, knob) for field, knob in knobs.knobs_of(demo.params).items() if knobs.is_shown(knob, values)]
    with st.container(border=True):
        grid = st.grid(2 * columns, min_column_width=200, gap=("small", "medium"))  # one message, columns are three
    for field, knob in shown:
        with grid.cell(column_span=2) if is_wide(knob) else grid:
            control(name, field, knob)


def _run(demo: Demo, params: Any, place: DeltaGenerator) -> Outcome:
    """Run the demo; a long stage shows a bar and ends at its next report when the learner leaves the page.

    A turn of a knob meanwhile waits: runs of a fragment are not cut short by the next one.
    """
    bars: list[DeltaGenerator] = []

    def report(fraction: float, note: Text | None) -> None:
        share, words = min(max(fraction, 0.0), 1.0), session.say(note) if note else None
        if bars:
            bars[0].progress(share, words)
        else:
            bars.append(place.progress(share, words))

    lab = Lab(device.choose(_device()), report)
    outcome = runner.run(demo, params, lab)
    for bar in bars:
        bar.empty()
    return outcome


def _device() -> str:
    """What the learner chose to compute on."""
    return memory.preference("device", "auto")


def _news(name: str, outcome: Outcome) -> str:
    """Which claims flipped since the last run, for who cannot see the list change."""
    before = st.session_state.get(f"claims {name}", {})
    now = {claim.id: claim.holds for claim in outcome.claims}
    st.session_state[f"claims {name}"] = now
    flipped = [claim for claim in outcome.claims if before.get(claim.id, claim.holds) != claim.holds]
    return " ".join(
        session.say(HOLDS if claim.holds else FAILS).format(session.say(claim.sentence)) for claim in flipped
    )


def _shown(given: str) -> str:
    """What a stranger's link said, short and without markup."""
    return f"`{given[:40].replace('`', '')}`"


def demo_names() -> list[str]:
    """The ids of all demos."""
    return catalogue.names()


def demo_record(name: str) -> Demo:
    """The demo's title, summary and the rest."""
    return catalogue.load(name)


def device_names() -> dict[str, str]:
    """The devices of this machine, best first: id and the name a person would use."""
    return {name: device.name(device.choose(name)) for name in device.available()}
