"""The claims of a demo, each with the number measured just now beside the number theory gives."""

import math
from collections.abc import Sequence

import streamlit as st

from components import session
from demos.kit.contract import Claim
from language import Text

HEADING = Text("Checked just now", "实时验证")
LINE = Text(
    "measured **{measured}** · theory {relation} {expected}", "实测 **{measured}** · 理论 {relation} {expected}"
)
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
SIGNS = {"=": "=", "<": "<", "<=": "≤", ">": ">", ">=": "≥"}


def claim_list(claims: Sequence[Claim], footer: str) -> None:
    """All claims and the footer as one block; a claim that fails is red and says so with its number."""
    language = session.language()  # once: asking Streamlit for each text of a long list takes half a millisecond
    lines = [f"##### {HEADING.in_(language)}"] if claims else []
    line = LINE.in_(language)
    for claim in claims:
        mark = ":green[:material/check_circle:]" if claim.holds else ":red[:material/cancel:]"
        expected = number(claim.expected) + (f" ± {number(claim.tolerance)}" if claim.tolerance else "")
        numbers = line.format(measured=number(claim.measured), relation=SIGNS[claim.relation], expected=expected)
        sentence, because = claim.sentence.in_(language), claim.because.in_(language)
        lines.append(f"{mark} {sentence}  \n{numbers} :small[:gray[{because}]]")
    st.markdown("\n\n".join([*lines, footer]))


def number(value: float) -> str:
    """A number for reading: counts in full, else four significant digits; what is tiny or huge as a power of ten."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == int(value) and abs(value) < 1e10:
        return f"{value:,.0f}".replace("-", "−")
    if value and not 1e-3 <= abs(value) < 1e4:
        digits, exponent = f"{value:.1e}".split("e")
        return f"{digits}×10{str(int(exponent)).translate(SUPERSCRIPTS)}".replace("-", "−")
    return f"{value:.4g}".replace("-", "−")
