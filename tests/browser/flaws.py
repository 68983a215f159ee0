"""What is wrong with a page as it is drawn: too wide, without names, or with maths that was not typeset."""

import re

from playwright.sync_api import Page

# What a learner reads or presses that sticks out of the window, with nothing around it that scrolls sideways.
STICKING_OUT = """() => {
    const main = document.querySelector('[data-testid=stMain]');
    const limit = document.documentElement.clientWidth + 1;
    const scrolls = element => {
        for (let box = element; box && box !== main; box = box.parentElement) {
            if (['auto', 'scroll'].includes(getComputedStyle(box).overflowX)) return true;
        }
        return false;
    };
    const wide = main.scrollWidth > main.clientWidth + 1 ? [`the page scrolls sideways: ${main.scrollWidth} px`] : [];
    const read = 'p, li, h1, h2, h3, h4, h5, h6, td, label, button, a, .katex .base, .js-plotly-plot';
    for (const element of main.querySelectorAll(read)) {
        const box = element.getBoundingClientRect();
        if (box.width > 1 && box.right > limit && !scrolls(element)) {
            const words = (element.textContent ?? '').trim().slice(0, 40);
            wide.push(`${element.tagName} reaches ${Math.round(box.right)} px: ${words}`);
        }
    }
    return wide.slice(0, 3);
}"""
# KaTeX says an error in red; a command or a pair of dollars that a reader sees as such was never typeset at all.
BAD_MATHS = r"""() => {
    const main = document.querySelector('[data-testid=stMain]');
    const errors = [...main.querySelectorAll('.katex-error')].map(error => error.title || error.textContent);
    const copy = main.cloneNode(true);
    copy.querySelectorAll('.katex, .katex-error, code, pre, style').forEach(element => element.remove());
    return [...errors, ...(copy.textContent.match(/\\[a-zA-Z]{2,}|\$[^$\s][^$\n]{0,80}\$/g) ?? [])];
}"""
NAMELESS = re.compile(
    r"^\s*- (?:button|link|slider|textbox|combobox|radio|radiogroup|switch|checkbox|figure)(?: \[[^]]*\])*(?::.*)?$",
    re.MULTILINE,
)


def sticking_out(page: Page) -> list[str]:
    """What makes the page wider than its window."""
    return page.evaluate(STICKING_OUT)


def bad_maths(page: Page) -> list[str]:
    """Formulas that KaTeX refused, and TeX that reached the reader as text."""
    return page.evaluate(BAD_MATHS)


def nameless(page: Page) -> list[str]:
    """Controls and charts that a screen reader could not name."""
    return NAMELESS.findall(page.locator("body").aria_snapshot())
