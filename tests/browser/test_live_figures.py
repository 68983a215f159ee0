"""The figure follows the finger: what must hold after every upgrade of Streamlit or Plotly."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Serve, Visit
from tests.browser.screen import figures, keyed, offset, settled
from tests.browser.server import Server

pytestmark = pytest.mark.browser
ZOOM = "() => document.querySelector('.viva-graph')._fullLayout.xaxis.range.map((edge) => Math.round(edge * 10) / 10)"
RECORD = """() => {
    const graph = document.querySelector('.viva-graph');
    Object.assign(window, { node: graph.querySelector('.main-svg'), states: [graph.ariaLabel], blanks: 0 });
    new MutationObserver(() => {
        if (window.states.at(-1) !== graph.ariaLabel) window.states.push(graph.ariaLabel);
    }).observe(graph, { attributes: true, attributeFilter: ['aria-label'] });
    const look = () => {
        window.blanks += !document.querySelector('.viva-graph .scatterlayer path');
        requestAnimationFrame(look);
    };
    look();
}"""
FITS = """() => [...document.querySelectorAll('.viva-graph')].every(
    (graph) => !graph.offsetWidth || graph.clientWidth === graph._fullLayout.width
)"""
IS_SAME = "() => window.node === document.querySelector('.viva-graph .main-svg')"


def test_the_node_and_the_zoom_survive_fifty_moves(page: Page):
    page.evaluate(RECORD)
    page.evaluate("() => window.Plotly.relayout(document.querySelector('.viva-graph'), {'xaxis.range': [1, 2]})")
    assert page.evaluate(ZOOM) == [1, 2]
    offset(page).focus()
    for _ in range(50):
        page.keyboard.press("ArrowRight")
    expect(figures(page).first).to_have_attribute("aria-label", "A curve at 50")
    settled(page)
    assert page.evaluate(IS_SAME)
    assert page.evaluate(ZOOM) == [1, 2]
    assert page.evaluate("() => window.blanks") == 0


def test_the_zoom_resets_when_the_axes_change_meaning(page: Page):
    page.evaluate("() => window.Plotly.relayout(document.querySelector('.viva-graph'), {'xaxis.range': [1, 2]})")
    page.get_by_text("rename").click()
    expect(page.locator(".viva-graph .xtitle").first).to_have_text("steps")
    assert page.evaluate(ZOOM) != [1, 2]


def test_a_drag_shows_the_states_on_its_way(page: Page):
    page.evaluate(RECORD)
    box = offset(page).bounding_box()
    assert box is not None
    height = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 4, height)
    page.mouse.down()
    for step in range(1, 21):
        page.mouse.move(box["x"] + box["width"] * step / 21, height)
        page.wait_for_timeout(100)
    page.mouse.up()
    settled(page)
    states = page.evaluate("() => window.states")
    assert len(set(states)) >= 15, states
    expect(keyed(page, "range").locator("output")).to_have_text(states[-1].removeprefix("A curve at ") + " tokens")


def test_a_move_runs_the_figures_alone_and_not_the_controls(page: Page):
    offset(page).focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("results 2")).to_be_visible()
    expect(page.get_by_text("controls 1")).to_be_visible()
    page.get_by_role("slider", name="Slow").focus()
    page.keyboard.press("ArrowRight")  # this one opens other controls, say, so it runs everything
    expect(page.get_by_text("controls 2")).to_be_visible()


def test_the_page_follows_the_figures_when_the_finger_rests(page: Page):
    offset(page).focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    expect(figures(page).first).to_have_attribute("aria-label", "A curve at 10")
    expect(page.locator(".viva-news").first).to_have_text("news 10")
    expect(page.get_by_text("results 2")).to_be_visible()  # ten moves, one run


def test_the_figures_one_step_away_are_there_before_they_are_wanted(page: Page):
    offset(page).focus()
    with page.expect_response(lambda response: "at=0&" in response.url):  # after 1, which was wanted, and 2
        page.keyboard.press("ArrowRight")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.keyboard.press("ArrowRight")
    expect(figures(page).first).to_have_attribute("aria-label", "A curve at 2")
    expect(page.locator(".viva-news").first).to_have_text("news 2")
    assert [address for address in asked if "at=2&" in address] == []


@pytest.mark.parametrize("value", [77, 78])
def test_a_figure_that_cannot_come_alone_or_takes_long_comes_with_the_page(page: Page, value: int):
    page.evaluate(RECORD)
    offset(page).focus()
    page.keyboard.press("End")
    expect(figures(page).first).to_have_attribute("aria-label", "A curve at 100")
    for _ in range(100 - value):
        page.keyboard.press("ArrowLeft")
    expect(page.locator(".viva-news").first).to_have_text(f"news {value}")
    expect(figures(page).first).to_have_attribute("aria-label", f"A curve at {value}")
    assert page.evaluate(IS_SAME)


def test_a_run_that_is_older_than_the_last_move_does_not_turn_the_figure_back(page: Page):
    page.evaluate(RECORD)
    offset(page).focus()
    for _ in range(20):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(120)  # long enough for the page to begin to follow
    expect(page.locator(".viva-news").first).to_have_text("news 20")
    states = [int(label.removeprefix("A curve at ")) for label in page.evaluate("() => window.states")]
    assert states == sorted(states)
    assert states[-1] == 20


def test_a_figure_that_does_not_change_is_not_drawn_again(page: Page):
    offset(page).focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".viva-news").first).to_have_text("news 1")
    page.evaluate("""() => {
        window.drawn = 0;
        document.querySelectorAll('.viva-graph').forEach((graph) =>
            graph.on?.('plotly_afterplot', () => { window.drawn += graph.ariaLabel === 'Another curve'; }));
    }""")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".viva-news").first).to_have_text("news 2")
    assert page.evaluate("() => window.drawn") == 0


def test_a_figure_that_comes_and_goes_leaves_the_others_as_they_were(page: Page):
    page.evaluate(RECORD)
    offset(page).focus()
    for value in range(1, 15):
        page.keyboard.press("ArrowRight")
        expect(figures(page).first).to_have_attribute("aria-label", f"A curve at {value}")
        expect(page.locator(".viva-graph:visible .main-svg:first-child")).to_have_count(1 if value == 13 else 2)
    assert page.evaluate(IS_SAME)


def test_the_axes_do_not_jump_when_their_labels_shrink(page: Page):
    left = "() => document.querySelector('.viva-graph')._fullLayout._size.l"
    narrow, highest = page.evaluate(left), figures(page).first.locator(".ytick text").last
    offset(page).focus()
    page.keyboard.press("End")
    expect(figures(page).first).to_have_attribute("aria-label", "A curve at 100")
    expect(highest).to_have_text("100")
    wide = page.evaluate(left)
    assert wide > narrow
    page.keyboard.press("Home")
    expect(highest).to_have_text("1")
    assert page.evaluate(left) == wide


def test_the_figure_follows_the_theme_without_being_drawn_anew(page: Page):
    page.evaluate(RECORD)
    color = "() => getComputedStyle(document.querySelector('.viva-graph .xtick text')).fill"
    light = page.evaluate(color)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"light => ({color})() !== light", arg=light)
    assert page.evaluate(IS_SAME)


def test_the_figure_fits_after_a_resize_and_in_a_tab_that_was_hidden(page: Page):
    page.set_viewport_size({"width": 700, "height": 900})
    page.wait_for_function(FITS)
    page.get_by_role("tab", name="hidden").click()
    expect(page.locator(".viva-graph:visible .main-svg").first).to_be_visible()
    page.wait_for_function(FITS)


def test_a_bad_figure_says_so_and_the_next_good_one_recovers(page: Page):
    page.get_by_text("break").click()
    trouble = page.locator(".viva-trouble:visible").first
    expect(trouble).to_contain_text("No figure: A curve at")
    page.get_by_text("break").click()
    expect(trouble).to_have_count(0)
    expect(figures(page).first).to_be_visible()


def test_a_blocked_script_says_so_and_recovers_when_it_loads(live: Server, chromium: Browser):
    context = chromium.new_context()
    page = context.new_page()
    page.route("**/viva/plotly*", lambda route: route.abort())
    page.goto(live.url())
    expect(page.locator(".viva-trouble:visible").first).to_contain_text("A curve at 0")
    page.unroute("**/viva/plotly*")
    offset(page).focus()
    page.keyboard.press("ArrowRight")
    expect(figures(page).first).to_have_attribute("aria-label", "A curve at 1")
    context.close()


def test_news_are_announced_politely(page: Page):
    news = page.locator(".viva-news[aria-live=polite]").first
    offset(page).focus()
    page.keyboard.press("ArrowRight")
    expect(news).to_have_text("news 1")


def test_plotly_comes_compressed_and_cached_for_good_behind_a_base_path(tmp_path: Path, chromium: Browser):
    server = Server(tmp_path / "data", base="deep/er/").start()
    context = chromium.new_context()
    page = context.new_page()
    with page.expect_response(re.compile(r"/deep/er/viva/plotly-.*\.js$")) as found:
        page.goto(server.url("deep/er/lab", demo="softmax_scaling", **{"softmax_scaling.key_width": 8}))
    headers = found.value.headers
    expect(figures(page).first).to_be_visible()
    context.close()
    server.stop()
    assert found.value.status == 200
    assert headers["content-type"].startswith("text/javascript")
    assert "immutable" in headers["cache-control"]
    assert headers["content-encoding"] == "gzip"
    assert "script-src 'self'" in headers["content-security-policy"]


def test_a_slider_walked_fast_up_and_down_does_not_lose_the_connection(serve: Serve, visit: Visit):
    page = visit(serve(predict_first=False), "lab", demo="softmax_scaling")
    page.get_by_role("slider", name="Key width").focus()
    for _ in range(4):
        page.keyboard.press("Home")
        for key in ["ArrowRight"] * 10 + ["ArrowLeft"] * 10:
            page.keyboard.press(key)
            page.wait_for_timeout(30)
    settled(page)
    expect(page.get_by_role("dialog")).to_have_count(0)
