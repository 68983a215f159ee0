"""The house keeps its shape: who may import whom, how long a file may be, and what is written nowhere."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from study import bank_copy

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("app.py", "language.py", "study", "demos", "components", "views", "questions", "tests",
           "benchmarks")  # fmt: skip
FILES = sorted(
    file for name in FOLDERS for file in ([ROOT / name] if name.endswith(".py") else (ROOT / name).rglob("*.py"))
)
OURS = {"app", "components", "demos", "language", "questions", "study", "views"}
# who may import what of ours (DESIGN §2); everyone may import language
ARROWS = {
    "app.py": {"views", "components", "demos", "study"},
    "language.py": set(),
    "study": {"study"},
    "demos": {"demos"},
    "components": {"components", "demos", "study"},
    "views": {"components", "study"},
    "questions": {"demos", "study"},
}
UNUSED_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "core", "base"}
LONGEST_FILE, LONGEST_FUNCTION = 300, 50
GLOBAL_RANDOM = {"torch.manual_seed", "torch.seed", "torch.cuda.manual_seed", "torch.cuda.manual_seed_all",
                 "random.seed", "numpy.random.seed", "np.random.seed", "torch.random.manual_seed"}  # fmt: skip
WITH_ANOTHER = {"starlette", "pydantic_core"}  # they come with streamlit and with pydantic
DRAWS = {"rand", "randn", "randint", "randperm", "multinomial", "bernoulli", "normal"}


def part(file: Path) -> str:
    return file.relative_to(ROOT).parts[0]


def each_file(*parts: str, but: tuple[str, ...] = ()) -> pytest.MarkDecorator:
    """Ask every Python file of `parts` of the house, or of all of it, except in `but`."""
    asked = [file for file in FILES if part(file) in (parts or {part(file)}) and part(file) not in but]
    return pytest.mark.parametrize("file", asked, ids=lambda file: str(file.relative_to(ROOT)))


def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def imports(file: Path) -> set[str]:
    """Every module that `file` imports, anywhere in it, by its full name."""
    found: set[str] = set()
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file.name}:{node.lineno} imports relatively"
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def tops(file: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(file)}


def calls(file: Path) -> Iterator[tuple[ast.Call, str]]:
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func)


def test_the_walk_sees_the_whole_house():
    assert {part(file) for file in FILES} >= {*ARROWS, "tests"}
    assert len(FILES) > 50


def test_the_two_live_components_stay_small():
    files = [ROOT / "components" / f"live_{name}.{kind}" for name in ("chart", "range") for kind in ("js", "py")]
    assert sum(len(file.read_text("utf-8").splitlines()) for file in files) <= 200


@each_file(*ARROWS)
def test_imports_follow_the_arrows(file: Path):
    assert (tops(file) & OURS) - {"language"} <= ARROWS[part(file)]


@each_file("demos")
def test_no_demo_imports_another(file: Path):
    """What two of them need is in the kit. A file of claims or figures knows the one demo that it belongs to."""
    demos = {demo.stem for demo in (ROOT / "demos").glob("[!_]*.py")}
    ours = [name.split(".") for name in imports(file) if name.startswith("demos.")]
    known = {word for words in ours for word in words[1:3] if word in demos}
    assert known <= {file.stem} or (file.parent.name in ("claims", "figures") and len(known) == 1)


@each_file("study", "demos", "language.py", "questions")
def test_what_is_not_a_screen_does_not_know_streamlit(file: Path):
    assert "streamlit" not in tops(file)


@each_file(but=("demos", "tests", "benchmarks"))
def test_torch_is_imported_by_demos_and_by_the_check_of_the_bank_only(file: Path):
    assert "torch" not in tops(file) or file == ROOT / "questions" / "__main__.py"


@each_file(but=("tests", "benchmarks"))
def test_the_scheduler_has_one_importer(file: Path):
    assert "fsrs" not in tops(file) or file == ROOT / "study" / "schedule.py"


@each_file()
def test_no_file_and_no_function_is_too_long(file: Path):
    lines = file.read_text(encoding="utf-8").split("\n")  # as an editor counts, the empty last one too
    assert len(lines) <= LONGEST_FILE
    functions = [node for node in ast.walk(tree(file)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}


@each_file()
def test_a_module_is_named_after_what_it_holds(file: Path):
    assert file.stem not in UNUSED_NAMES
    assert file.parent.name not in UNUSED_NAMES


@each_file(but=("tests", "benchmarks"))
def test_no_markup_is_injected_and_nothing_is_unpickled(file: Path):
    names = {keyword.arg for call, _ in calls(file) for keyword in call.keywords}
    assert [name for name in names if name and name.startswith("unsafe")] == []
    assert tops(file).isdisjoint({"pickle", "marshal", "shelve", "dill"})
    assert "components.v1.html" not in file.read_text(encoding="utf-8")


@each_file("demos")
def test_demos_draw_only_from_their_own_generator(file: Path):
    for call, name in calls(file):
        assert name not in GLOBAL_RANDOM
        if re.fullmatch(rf"torch\.({'|'.join(DRAWS)})", name):
            given = {keyword.arg for keyword in call.keywords}
            assert "generator" in given, f"line {call.lineno}: {name} without a generator"
        assert not re.match(r"(random|np\.random|numpy\.random)\.", name), f"line {call.lineno}: {name}"


@each_file("study", "demos")
def test_time_is_an_argument_below_the_screens(file: Path):
    clock = re.compile(r"\b(datetime\.(now|utcnow|today)|date\.today|time\.time)$")
    assert [f"line {call.lineno}: {name}" for call, name in calls(file) if clock.search(name)] == []


def test_the_entry_is_a_table_of_contents():
    lines = (ROOT / "app.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) < 60
    assert not any(isinstance(node, ast.ClassDef) for node in ast.walk(tree(ROOT / "app.py")))


FIRST_PAGE = """
import sys
from streamlit.testing.v1 import AppTest
from components import warmup
from pathlib import Path
warmup._warm_up = lambda: None
page = AppTest.from_file("app.py", default_timeout=60).run()
assert not page.exception, page.exception
assert page.title[0].value
print(sorted({name.split(".")[0] for name in sys.modules} & {"torch", "demos", "pydantic", "yaml"}))
"""


def test_the_first_page_waits_for_no_demo_not_for_torch_and_not_for_what_parses_the_bank(tmp_path, monkeypatch):
    for folder in ("VIVA_DATA_DIR", "VIVA_CACHE_DIR"):
        monkeypatch.setenv(folder, str(tmp_path))
    bank_copy.load()  # the copy that the start before this one made
    done = subprocess.run([sys.executable, "-c", FIRST_PAGE], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_pin_is_exact(name):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith(("#", "-r "))]
    assert [pin for pin in pins if not re.fullmatch(r"[A-Za-z0-9_.\-]+(\[\w+\])?==\d+(\.\d+)*", pin)] == []


def test_torch_is_the_build_that_installs_quickly_everywhere():
    assert "torch==2.13.0" in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()


def test_what_is_imported_is_pinned():
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8").lower()
    pinned = {re.split(r"[=\[]", line)[0] for line in text.splitlines() if line and line[0] not in "#-"}
    spelled = {"yaml": "pyyaml"}
    outside = {name for file in FILES if part(file) not in {"tests", "benchmarks"} for name in tops(file)}
    foreign = outside - OURS - set(sys.stdlib_module_names)
    assert {spelled.get(name, name) for name in foreign} - WITH_ANOTHER <= pinned
