"""From the key press to the painted figure, in a headless Chromium: Viva's demos, the floor and Dash in one run.

One demo: `python -m benchmarks.frames --demo softmax_scaling`.

A move is measured inside the page: from the time stamp of the key (or of the mouse button's release) to the frame that
paints the last change of a figure. The pages take turns, in random order.
"""

import argparse
import itertools
import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from playwright.sync_api import Browser, Locator, Page, sync_playwright
from playwright.sync_api import TimeoutError as Unchanged

from benchmarks import alone, bars
from benchmarks.bars import Row, median, percentile
from benchmarks.server import Server, dash, minimal, viva
from demos.kit import catalogue
from tests.browser.conftest import ARGUMENTS
from tests.browser.install import installed

KEY_BAR, BURST_BAR, DRAG_BAR, RELEASE_BAR = 0.65, 0.6, 0.25, 40.0
WARM_UP, ROUNDS = 2, 14  # rounds of single keys before and after counting starts
BURSTS, KEYS, GAP = 3, 20, 30  # bursts, keys in each, ms between two keys
STEPS, STEP, SLOWLY = 20, 20, 200  # mouse moves of a drag, ms between two, and ms that show every state
QUIET = 400  # ms without a change after which a move counts as over
PATIENCE = 3000  # ms without any change after which a move counts as one that changes nothing
FIGURE = ".js-plotly-plot"
WATCH = """() => {
    const seen = (window.seen = { start: 0, painted: 0, states: new Set() });
    const channel = new MessageChannel();  // its message arrives when the frame has been painted
    channel.port1.onmessage = () => { seen.painted = performance.now(); };
    addEventListener('keydown', (event) => { seen.start = event.timeStamp; }, true);
    addEventListener('pointerup', (event) => { seen.start = event.timeStamp; }, true);
    new MutationObserver((changes) => {
        const touches = (node) => node?.closest?.('FIGURE') || node?.querySelector?.('FIGURE');
        const inside = (target) => (target.nodeType === 1 ? target : target.parentElement)?.closest('FIGURE');
        // a figure out of sight changes its name, not its picture
        const renames = ({ target, type }) => type === 'attributes' && target.matches('FIGURE');
        const drawn = changes.filter((change) => !renames(change));
        const hit = drawn.some(({ target, addedNodes }) => inside(target) || [...addedNodes].some(touches));
        if (!hit) return;
        seen.changed = performance.now();
        seen.states.add([...document.querySelectorAll('FIGURE')].map((figure) => figure.ariaLabel).join());
        requestAnimationFrame(() => channel.port2.postMessage(0));
    }).observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
}""".replace("FIGURE", FIGURE)
BEGIN = "() => Object.assign(window.seen, { start: 0, changed: 0, painted: 0, states: new Set() })"
OVER = f"""() => window.seen.start && window.seen.changed && window.seen.painted >= window.seen.changed
    && performance.now() - window.seen.changed > {QUIET} && performance.now() - window.seen.start > {QUIET}"""
POSITIONS = "({ max }) => Number(max) + 1"
TOOK = "() => window.seen.painted - window.seen.start"


@dataclass
class Target:
    """One page with a slider, and the milliseconds its moves took."""

    name: str
    page: Page
    slider: Locator
    keys: list[float] = field(default_factory=list)
    bursts: list[float] = field(default_factory=list)
    positions: int = 100
    _walk: Iterator[str] = field(init=False)

    def __post_init__(self) -> None:
        """Begin at the low end; the keys then walk up and down, so that every one of them moves the slider."""
        self.slider.focus()
        self.page.keyboard.press("Home")
        self.page.wait_for_timeout(2 * QUIET)
        steps = self.positions - 1
        self._walk = itertools.cycle(["ArrowRight"] * steps + ["ArrowLeft"] * steps)

    def bring_figures_into_sight(self) -> bool:
        """Scroll the slider to the top if what it moves lies below the screen; False when it moves nothing even so."""
        for _ in range(2):
            if any(self.press(1) is not None for _ in range(3)):
                return True
            self.slider.evaluate("(slider) => { slider.style.scrollMarginTop = '80px'; slider.scrollIntoView(); }")
            self.page.wait_for_timeout(2 * QUIET)
        return False

    def press(self, times: int) -> float | None:
        """Press an arrow key `times` times; ms from the last press to the last painted change, if anything changed."""
        self.page.bring_to_front()
        self.slider.focus()
        self.page.evaluate(BEGIN)
        for _ in range(times):
            self.page.keyboard.press(next(self._walk))
            if times > 1:
                self.page.wait_for_timeout(GAP)
        return self._took()

    def drag(self, pause: int) -> tuple[int, float]:
        """Drag over the whole slider: how many states were shown, and ms from the release to the last change.

        `pause` is the time between two moves of the mouse in ms.
        """
        self.page.bring_to_front()
        box = self.slider.bounding_box()
        assert box is not None
        height = box["y"] + box["height"] / 2
        self.page.mouse.move(box["x"] + 4, height)
        self.page.mouse.down()
        self.page.evaluate(BEGIN)
        for step in range(1, STEPS + 1):
            self.page.mouse.move(box["x"] + (box["width"] - 8) * step / STEPS, height)
            self.page.wait_for_timeout(pause)
        self.page.mouse.up()
        took = self._took()
        return self.page.evaluate("() => window.seen.states.size"), max(took or 0.0, 0.0)

    def _took(self) -> float | None:
        try:
            self.page.wait_for_function(OVER, timeout=PATIENCE, polling=50)
        except Unchanged:
            return None
        return self.page.evaluate(TOOK)


def measure(demos: Sequence[str]) -> list[Row]:
    """The rows for these demos: each takes turns with the floor and Dash."""
    random.seed(0)
    rows: list[Row] = []
    with ExitStack() as stack:
        of_viva, of_floor, of_dash = (stack.enter_context(one) for one in (viva(), minimal("floor"), dash()))
        pool, browser = stack.enter_context(alone.process()), stack.enter_context(_chromium())
        for demo in demos:
            slider = pool.submit(alone.slider, demo).result()
            if slider is None:
                continue
            own = median([pool.submit(alone.seconds, demo, slider.knob, at).result() for at in slider.positions]) * 1e3
            with ExitStack() as pages:
                open_page = lambda server, path: pages.enter_context(_page(browser, server, path))  # noqa: E731
                page = open_page(of_viva, f"lab?demo={demo}")
                handle = page.locator(f".st-key-{demo}-{slider.knob} input[type=range]")
                ours = Target(demo, page, handle, positions=handle.evaluate(POSITIONS))
                others = [open_page(of_floor, ""), open_page(of_dash, "")]
                floor, peer = (
                    Target(name, one, one.get_by_role("slider").first)
                    for name, one in zip(("floor", "dash"), others, strict=True)
                )
                if ours.bring_figures_into_sight():
                    rows += _rows(ours, floor, peer, own)
                else:
                    print(f"{demo}: {slider.knob} changes no figure; not measured", file=sys.stderr)
    return rows


def _rows(ours: Target, floor: Target, peer: Target, own: float) -> list[Row]:
    """Let the three take turns and compare.

    `own`, the demo's own compute in ms, is taken off where it must have happened after the last key; for a single key,
    whose figures may have come ahead, it is granted on top of the bar instead.
    """
    targets = [ours, floor, peer]
    for count in range(WARM_UP + ROUNDS):
        for target in random.sample(targets, len(targets)):
            took = target.press(1)
            if count >= WARM_UP and took is not None:
                target.keys.append(took)
    for _ in range(BURSTS):
        for target in random.sample(targets, len(targets)):
            took = target.press(KEYS)
            if took is not None:
                target.bursts.append(took)
    passed, _ = ours.drag(SLOWLY)  # steps that change no figure do not count
    states, release = ours.drag(STEP)
    key, base, dash_key = (median(target.keys) for target in targets)
    burst, base_burst, dash_burst = (median(target.bursts) for target in targets)
    slow = (
        f"p95 {percentile(ours.keys, 0.95):.0f}, {percentile(floor.keys, 0.95):.0f}; {len(ours.keys)} of {ROUNDS} steps"
    )
    of_drag = f"{states} of {passed} shown, {STEPS} mouse moves {STEP} ms apart"
    name, granted = ours.name, KEY_BAR + own / base
    return [
        Row(f"{name}: key to paint, p50", key / base, "×", granted, f"{key:.0f} ms against {base:.0f}; {slow}"),
        Row(f"{name}: key to paint against Dash", key / dash_key, "×", None, f"Dash {dash_key:.0f} ms"),
        Row(f"{name}: burst settles", (burst - own) / base_burst, "×", BURST_BAR, f"{burst:.0f}, {base_burst:.0f} ms"),
        Row(f"{name}: burst against Dash", (burst - own) / dash_burst, "×", None, f"Dash {dash_burst:.0f} ms"),
        Row(f"{name}: drag, share of states not shown", 1 - states / max(passed, 1), "", DRAG_BAR, of_drag),
        Row(f"{name}: after the release", release - own, " ms", RELEASE_BAR),
    ]


@contextmanager
def _chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed(), args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def _page(browser: Browser, server: Server, path: str) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-US")
    page = context.new_page()
    page.goto(f"http://{server.address}/{path}")
    page.wait_for_selector(f"{FIGURE} .main-svg", timeout=60_000)
    page.wait_for_timeout(1500)
    page.evaluate(WATCH)
    yield page
    context.close()


def main() -> int:
    """Measure the demos named on the command line, else all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", action="append", choices=catalogue.names(), help="may be given several times")
    return bars.finish(measure(parser.parse_args().demo or catalogue.names()))


if __name__ == "__main__":
    sys.exit(main())
