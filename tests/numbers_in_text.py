"""The numbers that a text states, so that two languages can be compared: `10 000`, `1万` and `ten thousand` are one.

A literal has one or two readings (65M is 65 or 65 million). Words count too, because `variance one` is `方差 1`.
"""

import re
import unicodedata

ENGLISH = {
    word: float(value)
    for value, words in {
        0: "zero",
        0.5: "half halves halve halved halving",
        1: "one once first single unit",
        2: "two twice second double doubles doubled doubling both twofold squared square",
        3: "three third thirds triple thrice cube cubed threefold",
        4: "four fourth quarter quarters fourfold quadruple quadruples quadrupled",
        5: "five fifth fivefold",
        6: "six sixth",
        7: "seven seventh",
        8: "eight eighth",
        9: "nine ninth",
        10: "ten tenth tenfold tens",
        11: "eleven",
        12: "twelve dozen",
        16: "sixteen",
        20: "twenty",
        100: "hundred hundredth hundreds percent",
        1_000: "thousand thousandth thousands",
        1_000_000: "million millions",
        1_000_000_000: "billion billions",
    }.items()
    for word in words.split()
}
DIGITS = dict(zip("零一二三四五六七八九", range(10), strict=True)) | {"两": 2, "倍": 2, "半": 0.5, "单": 1, "双": 2}
UNITS = {"十": 10, "百": 100, "千": 1_000, "万": 10_000, "亿": 100_000_000}
SCALES = {"k": 1e3, "m": 1e6, "b": 1e9, "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}
SCALES |= {"成": 10, "百": 100, "千": 1e3, "万": 1e4, "百万": 1e6, "千万": 1e7}
SCALES |= {"亿": 1e8, "百亿": 1e10, "千亿": 1e11, "万亿": 1e12}

GROUPED = re.compile(r"(?<![\d.])\d{1,3}(?:(?:,|\{,\}|\\,|[ \u00a0\u202f])\d{3})+(?!\d)")
FRACTION = re.compile(r"\\[dt]?frac\s*(\d)\s*(\d)")
ONE_DIGIT_COMMANDS = re.compile(r"(\\[dt]?frac|\^|_|\\sqrt)\s*(\d)(?=\d)")
LITERAL = re.compile(
    r"(\d+(?:\.\d+)?)[-\s$]*(百万|千万|百亿|千亿|万亿|[百千万亿成]|(?:thousand|million|billion|trillion|[kKMB])\b)?"
)
CHINESE = re.compile(r"[零一二三四五六七八九两十百千万亿]+成?|[倍半单双]")


def literals(words: str) -> list[tuple[str, set[float]]]:
    """Every number written in digits: as it stands, and what it may mean."""
    plain = unicodedata.normalize("NFKC", words)
    plain = GROUPED.sub(lambda match: re.sub(r"\D", "", match[0]), plain)
    plain = ONE_DIGIT_COMMANDS.sub(r"\1 \2 ", FRACTION.sub(r" \1 \2 ", plain))
    found = []
    for match in LITERAL.finditer(plain):
        number, scale = float(match[1]), SCALES.get((match[2] or "").lower(), 1)
        found.append((match[0].strip(), {number, number * scale}))
    return found


def values(words: str) -> set[float]:
    """Every number that `words` states in digits or, in English or Chinese, in words."""
    english = {ENGLISH[word] for word in re.findall(r"[a-z]+", words.lower()) if word in ENGLISH}
    chinese = {_chinese(match[0]) for match in CHINESE.finditer(LITERAL.sub(" ", words))}
    return english | chinese | {value for _, readings in literals(words) for value in readings}


def unmatched(one: str, other: str) -> list[str]:
    """The numbers in digits in `one` that `other` does not state."""
    there = {round(value, 9) for value in values(other)}
    return sorted({raw for raw, readings in literals(one) if not {round(value, 9) for value in readings} & there})


def _chinese(numeral: str) -> float:
    """The value of a Chinese numeral: 十二 is 12, 两千 2000, 三万 30000, 九成 90 (per cent)."""
    if numeral.endswith("成"):
        return 10 * _chinese(numeral[:-1])
    total, section, digit = 0.0, 0.0, 0.0
    for sign in numeral:
        if sign in DIGITS:
            digit = float(DIGITS[sign])
        elif UNITS[sign] < 10_000:
            section += (digit or 1) * UNITS[sign]
            digit = 0.0
        else:
            total = (total + section + digit or 1) * UNITS[sign]
            section = digit = 0.0
    return total + section + digit
