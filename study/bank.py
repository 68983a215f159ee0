"""The bank: every question file, loaded and checked, with the faults of broken files told by file, line and field."""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from language import LANGUAGES, Text
from study.question import FOLDER, Bank, Problem, Question, Topic

QUESTION, TOPICS = TypeAdapter(Question), TypeAdapter(list[Topic])
Fault = tuple[tuple[Any, ...], str]  # a place in a file, such as ("traps", 0, "why"), and what is wrong there


class DemoIndex(Protocol):
    """What the bank needs to know of the demos to check its links; `questions/__main__.py` supplies it."""

    def params_problem(self, demo: str, params: Mapping[str, Any]) -> str | None:
        """Why `params` is no state of `demo`, or None."""
        ...

    def claims(self, demo: str, states: Iterable[Mapping[str, Any]]) -> set[str]:
        """The ids of claims that `demo` makes in any of `states`."""
        ...


def load(folder: Path = FOLDER) -> Bank:
    """Read every question in `folder`. A broken file becomes problems; the other questions are served."""
    problems: list[Problem] = []
    topics = _read_topics(folder / "topics.yaml", problems)
    questions: dict[str, tuple[Question, Path]] = {}
    numbers: dict[int, str] = {}
    for path in sorted(folder.glob("[0-9]*.yaml")):
        question = _read_question(path, {topic.id for topic in topics}, problems)
        if question is None:
            continue
        if question.id in questions or question.number in numbers:
            other = questions[question.id][1].name if question.id in questions else numbers[question.number]
            field = "id" if question.id in questions else "number"
            problems.append(Problem(path.name, _line(path, (field,)), field, f"already used by {other}"))
            continue
        questions[question.id] = (question, path)
        numbers[question.number] = path.name
    ordered = sorted((question for question, _ in questions.values()), key=lambda question: question.number)
    return Bank(tuple(ordered), tuple(topics), tuple(problems))


def link_problems(bank: Bank, demos: DemoIndex, folder: Path = FOLDER) -> list[Problem]:
    """Demo links, presets and evidence that do not resolve."""
    found: list[Problem] = []
    for question in bank.questions:
        path = folder / f"{question.number:02}-{question.id}.yaml"
        made: set[str] = set()
        for place, link in enumerate(question.demos):
            states: list[Mapping[str, Any]] = [{}]
            for index, preset in enumerate(link.presets):
                fault = demos.params_problem(link.id, preset.params)
                where = ("demos", place, "presets", index)
                if fault:
                    found.append(_problem(path, where, fault))
                else:
                    states.append(preset.params)
            fault = demos.params_problem(link.id, {})
            if fault:
                found.append(_problem(path, ("demos", place, "id"), fault))
            else:
                made |= demos.claims(link.id, states)
        for place, point in enumerate(question.key_points):
            if point.evidence and point.evidence not in made:
                fault = f"no linked demo claims {point.evidence!r}; it claims: {', '.join(sorted(made)) or 'nothing'}"
                found.append(_problem(path, ("key_points", place, "evidence"), fault))
    return found


MATHS = re.compile(r"\$\$(.+?)\$\$|\$(.+?)\$", re.DOTALL)


def latex_fault(words: str) -> str | None:
    """What is wrong with the maths of a text: a $ without partner or unbalanced braces. None if nothing is."""
    bare = words.replace(r"\$", "")
    if any("$$" in line and line.strip() != "$$" for line in bare.splitlines()):
        return "$$ must stand on a line of its own, or the equation is not displayed"
    if "$" in MATHS.sub("", bare):
        return "a $ has no partner (write \\$ for a literal dollar)"
    for block, inline in MATHS.findall(bare):
        maths, depth = block or inline, 0
        for brace in re.findall(r"(?<!\\)[{}]", maths):
            depth += 1 if brace == "{" else -1
            if depth < 0:
                return f"unbalanced }} in ${maths}$"
        if depth:
            return f"unbalanced {{ in ${maths}$"
    return None


def texts(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Text]]:
    """Every `Text` inside a question with its place, such as ("traps", 0, "why")."""
    if isinstance(value, Text):
        return [(place, value)]
    if isinstance(value, tuple):
        return [found for index, item in enumerate(value) for found in texts(item, (*place, index))]
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        return [found for name in names for found in texts(getattr(value, name), (*place, name))]
    return []


def _read_topics(path: Path, problems: list[Problem]) -> list[Topic]:
    try:
        return TOPICS.validate_python(_parse(path))
    except ValidationError as error:
        problems += _schema_problems(path, error)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        problems.append(_unreadable(path, error))
    return []


def _read_question(path: Path, topics: set[str], problems: list[Problem]) -> Question | None:
    try:
        question = QUESTION.validate_python(_parse(path))
    except ValidationError as error:
        problems += _schema_problems(path, error)
        return None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        problems.append(_unreadable(path, error))
        return None
    faults = list(_content_faults(question, path, topics))
    problems += [_problem(path, place, message) for place, message in faults]
    return None if faults else question


def _schema_problems(path: Path, error: ValidationError) -> list[Problem]:
    """What the schema refuses; a list that is too short only because an item of it is refused is not told twice."""
    faults = error.errors()
    places = [fault["loc"] for fault in faults]

    def is_echo(fault: ErrorDetails) -> bool:
        inside = (place for place in places if place != fault["loc"])
        return fault["type"] == "too_short" and any(place[: len(fault["loc"])] == fault["loc"] for place in inside)

    words = {"unexpected_keyword_argument": "there is no such field"}
    return [
        _problem(path, fault["loc"], words.get(fault["type"], fault["msg"])) for fault in faults if not is_echo(fault)
    ]


def _content_faults(question: Question, path: Path, topics: set[str]) -> Iterable[Fault]:
    """What the schema cannot say: names, references, and the maths of every text."""
    expected = f"{question.number:02}-{question.id}.yaml"
    if path.name != expected:
        yield ("id",), f"the file must be named {expected}"
    if question.topic not in topics:
        yield ("topic",), f"{question.topic!r} is not in topics.yaml"
    yield from _reference_faults(question)
    for place, text in texts(question):
        for language in LANGUAGES:
            words = text.in_(language)
            fault = latex_fault(words) if words.strip() else "is empty"
            if fault:
                yield (*place, language), fault


def _reference_faults(question: Question) -> Iterable[Fault]:
    supported = {part.id for part in (*question.key_points, *question.traps, *question.follow_ups)}
    for index, source in enumerate(question.sources):
        unknown = sorted(set(source.supports) - supported)
        if unknown:
            yield ("sources", index, "supports"), f"no such key point, trap or follow-up: {', '.join(unknown)}"
    if not any(point.core for point in question.key_points):
        yield ("key_points",), "at least one key point must have core: true"
    for name in ("key_points", "traps", "follow_ups", "choices", "recall", "sources"):
        seen: set[str] = set()
        for index, item in enumerate(getattr(question, name)):
            if item.id in seen:
                yield (name, index, "id"), f"{item.id!r} is used twice"
            seen.add(item.id)


class _Loader(yaml.CSafeLoader):
    """YAML keeps the last of two equal keys without a word; we do not."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                fault = f"the key {key.value!r} is written twice"
                raise yaml.MarkedYAMLError(problem=fault, problem_mark=key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def _parse(path: Path) -> Any:
    """The content of a YAML file. Raises OSError, UnicodeDecodeError or YAMLError."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _Loader)  # a safe loader
    except (ValueError, KeyError, IndexError, AttributeError) as error:  # what PyYAML lets out for an odd scalar
        if isinstance(error, UnicodeDecodeError):
            raise
        raise yaml.YAMLError(f"a value cannot be read: {error}") from error


def _unreadable(path: Path, error: Exception) -> Problem:
    mark = getattr(error, "problem_mark", None)
    reason = getattr(error, "problem", None) or str(error)
    return Problem(path.name, mark.line + 1 if mark else 1, "", str(reason))


def _problem(path: Path, place: Iterable[Any], message: str) -> Problem:
    place = tuple(place)
    return Problem(path.name, _line(path, place), ".".join(map(str, place)), message)


def _line(path: Path, place: tuple[Any, ...]) -> int:
    """The line in `path` of the deepest part of `place` that exists there."""
    with path.open(encoding="utf-8") as file:
        node = yaml.compose(file, yaml.CSafeLoader)
    line = 1
    for step in place:
        if isinstance(node, yaml.MappingNode):
            pairs = [(key, value) for key, value in node.value if key.value == str(step)]
            if not pairs:
                return line
            line, node = pairs[0][0].start_mark.line + 1, pairs[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
        else:
            return line
    return line
