"""The beam as a tree: one column for each step, a branch goes straight on while it lives; what dies out is grey."""

from typing import TYPE_CHECKING, Any

import numpy as np

from demos.kit import charts
from demos.kit.charts import BLUE, GREY, ORANGE, Axis, Line
from demos.kit.contract import Picture
from demos.kit.prefixes import Search
from language import Text

if TYPE_CHECKING:
    from demos.decoding_strategies import Result

LABELLED = 110  # nodes that still leave room for their letters
VISIBLE = {" ": "␣", "\n": "↵"}
Edge = tuple[int, int, int]  # step, rank of the parent, rank of the child
Node = tuple[int, int]  # step, rank


def tree_picture(result: "Result") -> Picture:
    """Every prefix the beam kept, with the branch that wins."""
    length, width = result.params.length, result.params.beam
    beam = result.beams[width]
    ranks = beam.ranks(length)
    alive, dead = branches(beam, length)
    won = {(step, ranks[step - 1], ranks[step]) for step in range(1, length)}
    winners = set(enumerate(ranks))
    lowest, rows = max(ranks) + 1, lanes(beam, length)
    figure = charts.lines(
        [
            path(Text("died out", "被淘汰"), dead, rows, GREY),
            path(Text("survives", "存活"), [edge for edge in alive if edge not in won], rows, BLUE),
            path(Text("wins", "胜出"), sorted(won), rows, ORANGE),
        ],
        Axis(Text("character", "第几个字符")),
        Axis(Text("branch", "分支"), ticks=()),
    )
    for line, thickness in zip(figure["data"], (1.5, 2, 3.5), strict=True):
        line["line"]["width"] = thickness
    figure["data"].append(letters(result, beam, rows, winners, alive))
    figure["layout"]["yaxis"] |= {"range": [width - 0.4, -0.8], "showgrid": False, "zeroline": False}
    return Picture(
        "tree",
        Text(
            f"The branch that wins stood at rank {lowest} of {width} at its worst",
            f"胜出的那一支，最差时排在 {width} 个里的第 {lowest} 名",
        )
        if width > 1
        else Text("Width 1 keeps one branch: greedy decoding has no tree", "束宽为 1 只留一支：贪心解码没有分叉"),
        Text(
            f"{len(alive) + len(dead)} branches, {length} steps; {len(dead)} died out; ranks of the winner: "
            + ", ".join(str(rank + 1) for rank in ranks),
            f"{length} 步共 {len(alive) + len(dead)} 条分支，其中 {len(dead)} 条被淘汰；胜者各步的排名："
            + "，".join(str(rank + 1) for rank in ranks),
        ),
        figure,
    )


def letters(result: "Result", beam: Search, rows: list[list[int]], won: set[Node], alive: list[Edge]) -> dict[str, Any]:
    """Each prefix's character in the colour of its branch, or only the winning ones where all would not fit."""
    everyone = sum(map(len, rows)) <= LABELLED
    nodes = [(s, r) for s in range(len(rows)) for r in range(len(beam.symbols[s])) if everyone or (s, r) in won]
    living = {node for step, parent, child in alive for node in ((step - 1, parent), (step, child))}
    written = [result.alphabet[int(beam.symbols[step][rank])] for step, rank in nodes]
    return {
        "type": "scatter",
        "mode": "text",
        "x": charts.numbers([step + 1 for step, _ in nodes]),
        "y": charts.numbers([rows[step][rank] for step, rank in nodes]),
        "text": [VISIBLE.get(letter, letter) for letter in written],
        "textfont": {
            "size": 15,
            "color": [ORANGE if node in won else BLUE if node in living else GREY for node in nodes],
        },
        "textposition": "top center",
        "showlegend": False,
        "hoverinfo": "text",
    }


def branches(beam: Search, length: int) -> tuple[list[Edge], list[Edge]]:
    """The edges that lead to a prefix still in the beam at the end, and those that do not."""
    alive: list[Edge] = []
    dead: list[Edge] = []
    living = set(range(len(beam.symbols[length - 1])))
    for step in range(length - 1, 0, -1):
        edges = [(step, int(parent), child) for child, parent in enumerate(beam.parents[step])]
        alive += [edge for edge in edges if edge[2] in living]
        dead += [edge for edge in edges if edge[2] not in living]
        living = {parent for _, parent, child in edges if child in living}
    return alive, dead


def lanes(beam: Search, length: int) -> list[list[int]]:
    """The row of every prefix: the best child keeps its parent's row, the others take the nearest free one."""
    rows = [list(range(len(beam.symbols[0])))]
    for step in range(1, length):
        parents = [rows[-1][int(parent)] for parent in beam.parents[step]]
        taken: list[int] = [-1] * len(parents)
        for child, row in enumerate(parents):
            if row not in taken:
                taken[child] = row
        for child, row in enumerate(parents):
            if taken[child] < 0:
                free = set(range(max(len(parents), len(rows[-1])))) - set(taken)
                taken[child] = min(free, key=lambda other, row=row: (abs(other - row), other))
        rows.append(taken)
    return rows


def path(name: Text, edges: list[Edge], rows: list[list[int]], color: str) -> Line:
    """Edges as one broken line: those that follow each other in one piece, then a gap."""
    pieces: dict[Node, list[Node]] = {}  # by the node where they end
    for step, parent, child in sorted(edges):
        piece = pieces.pop((step - 1, parent), [(step - 1, parent)])
        pieces[step, child] = [*piece, (step, child)]
    gap = np.nan
    x = [place for piece in pieces.values() for place in (*(step + 1 for step, _ in piece), gap)]
    y = [place for piece in pieces.values() for place in (*(rows[step][rank] for step, rank in piece), gap)]
    return Line(name, x or [gap], y or [gap], color)
