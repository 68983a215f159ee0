"""What makes a Chinese text of Viva wrong: words the glossary refuses, half-width punctuation, text left in English."""

import functools
import re
from pathlib import Path

GLOSSARY = Path(__file__).resolve().parent.parent / "questions" / "README.md"
HAN = re.compile(r"[\u4e00-\u9fff]")
MATHS_AND_CODE = re.compile(r"\$\$.+?\$\$|\$.+?\$|```.+?```|`[^`]*`", re.DOTALL)
HALF_WIDTH = re.compile(r"[\u4e00-\u9fff][,:;?!.(]|[,:;?!)][\u4e00-\u9fff]")
# words that contain a refused word by accident
INNOCENT = {
    "值向量": ("均值向量", "特征值向量", "期望值向量"),
    "键向量": ("关键向量",),
    "自关注": ("各自关注", "独自关注"),
    "通量": ("普通量", "磁通量", "光通量"),
    "填补": ("填补空白",),
    "译码器": ("编译码器",),
}


@functools.cache
def refused() -> tuple[str, ...]:
    """The right column of the glossary in `questions/README.md`."""
    rows = [line.split("|")[1:-1] for line in GLOSSARY.read_text(encoding="utf-8").splitlines() if line[:1] == "|"]
    return tuple(word.strip() for row in rows[2:] for word in row[2].split(",") if word.strip())


def refused_words(words: str) -> list[str]:
    """The words of `words` that the glossary refuses."""
    found = []
    for word in refused():
        rest = words
        for innocent in INNOCENT.get(word, ()):
            rest = rest.replace(innocent, "")
        if word in rest:
            found.append(word)
    return found


def half_width(words: str) -> list[str]:
    """Half-width punctuation that touches a Chinese character, with its neighbours; maths and code do not count."""
    plain = MATHS_AND_CODE.sub("M", words)
    return [plain[max(0, match.start() - 6) : match.end() + 6] for match in HALF_WIDTH.finditer(plain)]


def is_left_in_english(words: str) -> bool:
    """Whether no Chinese character is in `words` although it says something: more than maths, numbers or a name."""
    names = re.findall(r"[A-Za-z]{2,}", MATHS_AND_CODE.sub("", words))
    return not HAN.search(words) and len(names) > 3
