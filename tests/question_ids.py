"""The ids that learners' reviews point at. `python -m tests.question_ids` adds those of new questions to the list."""

from pathlib import Path

from study import bank

LIST = Path(__file__).with_name("question_ids.txt")
SECTIONS = ("key_points", "traps", "follow_ups", "choices", "recall")


def of_the_bank() -> set[str]:
    """Every id of the bank, such as `softmax-scaling` and `softmax-scaling/recall/variance`."""
    found: set[str] = set()
    for question in bank.load().questions:
        items = {f"{question.id}/{name}/{item.id}" for name in SECTIONS for item in getattr(question, name)}
        found |= {question.id, *items}
    return found


def released() -> set[str]:
    """The ids on the list."""
    return set(LIST.read_text(encoding="utf-8").split()) if LIST.exists() else set()


def main() -> None:
    """Add what is new; nothing is ever taken off the list."""
    LIST.write_text("\n".join(sorted(of_the_bank() | released())) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
