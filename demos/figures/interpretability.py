"""The figures of `interpretability`."""

from typing import TYPE_CHECKING, Any

import torch

from demos.kit import charts
from demos.kit.charts import BLUE, GREEN, GREY, ORANGE, PURPLE, Axis, Guide, Line
from demos.kit.contract import Picture
from language import Text, same

if TYPE_CHECKING:
    from demos.interpretability import Result

METHODS = {
    "attention": Text("attention, mean of heads", "注意力（各头平均）"),
    "head": Text("attention of one head", "单个头的注意力"),
    "norm": Text("attention × value norm", "注意力 × value 范数"),
    "rollout": Text("attention rollout", "attention rollout"),
    "gradient": Text("gradient × input", "梯度 × 输入"),
    "ig": Text("integrated gradients", "积分梯度"),
    "ablation": Text("ablation", "消融"),
}
BASELINES = {"filler": Text("the mean filler", "填充 token 的均值"), "zero": Text("zero", "零")}
REPLACEMENTS = {
    "value": Text("another value, same role", "同角色的其他值"),
    "filler": Text("the mean filler", "填充 token 的均值"),
    "zero": Text("a zero embedding", "零向量"),
    "mask": Text("nothing: masked, renormalised", "不替换：掩掉并重新归一"),
}
CHANGED = {
    "A": same("A"),
    "B": same("B"),
    "distractor": Text("the distractor", "干扰项"),
    "filler": Text("a filler", "一个填充 token"),
}
ROLES = ("·", "A", "B", "D")  # filler, A, B, distractor
# opaque, so that the numbers find their contrast in both themes
SHADES = [
    [0, "rgb(200,86,0)"],
    [0.25, "rgb(240,190,150)"],
    [0.5, "rgb(232,235,240)"],
    [0.75, "rgb(160,190,225)"],
    [1, "rgb(30,95,175)"],
]
ASK = Text(
    "Eight tokens; the answer is (A + B) mod 4, read at CLS, and the trained model is always right. Take the "
    "two tokens that CLS attends to most in the last layer (mean over heads). How many of these are A or B?",
    "8 个 token，答案是 (A + B) mod 4，在 CLS 处读出，训练好的模型全部答对。"
    "取最后一层 CLS 注意力最大的两个 token（各头平均），其中有多少是 A 或 B？",
)
OPTIONS = {
    "most": Text("nearly all: it could not be right otherwise", "几乎全是：否则模型不可能答对"),
    "some": Text("about half", "一半左右"),
    "chance": Text("no more than by chance, a quarter", "和瞎猜一样，四分之一"),
}
BECAUSE = Text(
    "CLS has to read A and B in one layer only. With most training seeds that is block 1, and the last layer "
    "is free to look elsewhere; with others it is the last layer, and its map is right. The map does not say "
    "which; changing a token and watching the answer finds A and B every time.",
    "CLS 只需在一层里读到 A 和 B。多数训练种子下是第 1 层，最后一层看哪里就不那么要紧；"
    "换个种子，也可能是最后一层，它的注意力图就对了。图本身不会告诉你是哪一种；"
    "换掉一个 token、看答案变不变，则每次都能找出 A 和 B。",
)


def pictures(result: "Result") -> list[Picture]:
    """One example; all examples; where the answer is carried; what is known against what is used."""
    return [score_picture(result), precision_picture(result), patching_picture(result), use_picture(result)]


def chosen(result: "Result") -> str:
    """The key of the scores that the knobs ask for."""
    params = result.params
    return {
        "attention": f"attention{params.layer}",
        "norm": f"norm{params.layer}",
        "head": f"head{params.layer}{params.head}",
    }.get(params.method, params.method)


def spelled(result: "Result") -> list[str]:
    """Each token as its role and value."""
    return [f"{ROLES[token // 4]}{token % 4}" for token in result.tokens.tolist()]


def score_picture(result: "Result") -> Picture:
    """The scores of the chosen method for one example."""
    scores, names = result.scores[chosen(result)][0], spelled(result)
    a, b, distractor, _ = result.places.tolist()
    kinds = [
        (Text("causes", "原因"), GREEN, [a, b]),
        (Text("distractor D", "干扰项 D"), ORANGE, [distractor]),
        (Text("fillers", "填充"), GREY, [at for at in range(len(names)) if at not in (a, b, distractor)]),
    ]
    series = [Line(name, torch.tensor(at).float(), scores[at], color) for name, color, at in kinds]
    figure = charts.bars(
        series,
        Axis(Text("token: role and value", "token：角色和值"), ticks=range(len(names)), tick_texts=names),
        Axis(METHODS[result.params.method]),
        touching=True,
    )
    for bar in figure["data"]:
        bar["width"] = 0.75  # three series of different spacing
    top = scores.abs().topk(2).indices.sort().values.tolist()
    found = len({a, b} & set(top))
    verdict = {
        2: Text("both are causes", "两个都是原因"),
        1: Text("one is a cause", "只有一个是原因"),
        0: Text("neither is a cause", "都不是原因"),
    }[found]
    first, second = (names[at] for at in top)
    right = result.named == result.answer
    said = Text("right", "正确") if right else Text(f"should be {result.answer}", f"应为 {result.answer}")
    listed = ", ".join(f"{name} {score:.3g}" for name, score in zip(names, scores.tolist(), strict=True))
    return Picture(
        "scores",
        Text(
            f"The two scores largest in size are on {first} and {second}: {verdict.en}. "
            f"The model answers {result.named} ({said.en})",
            f"分数绝对值最大的两个是 {first} 和 {second}：{verdict.zh}。模型答 {result.named}（{said.zh}）",
        ),
        Text(f"Bars, score of each token: {listed}.", f"条形图，每个 token 的分数：{listed}。"),
        figure,
    )


def precision_rows(result: "Result") -> list[tuple[str, Text]]:
    """Which methods are compared, in order."""
    layer, head = result.params.layer, result.params.head
    rows = [
        ("ablation", Text("ablation", "消融")),
        ("rollout", Text("rollout", "rollout")),
        ("ig", Text("integrated grad.", "积分梯度")),
        ("gradient", Text("grad × input", "梯度 × 输入")),
        ("attention1", Text("attention, layer 1", "注意力，第 1 层")),
        ("attention2", Text("attention, layer 2", "注意力，第 2 层")),
        ("random", Text("random order", "随机排序")),
    ]
    if result.params.method == "head":
        rows.insert(-1, (chosen(result), Text(f"layer {layer}, head {head}", f"第 {layer} 层第 {head} 个头")))
    if result.params.method == "norm":
        rows.insert(-1, (chosen(result), Text(f"× norm, layer {layer}", f"× 范数，第 {layer} 层")))
    return rows


def precision_picture(result: "Result") -> Picture:
    """How often each method is right about 128 examples, for the trained network and for random weights."""
    rows, shown = precision_rows(result), chosen(result)
    trained, fresh = torch.stack([result.precision[key] for key, _ in rows]).T
    names = [name for _, name in rows]
    colors = [ORANGE if key == shown else GREY if key == "random" else BLUE for key, _ in rows]
    figure = charts.named_bars(names, trained, Text("share of top 2 that are causes", "前 2 名里原因的比例"), colors)
    figure["data"][0]["name"] = Text("trained", "训练后")
    figure["data"].append(dots(Text("before training", "训练之前"), fresh[:-1], names[:-1]))
    figure["layout"]["xaxis"]["range"] = [0, 1.12]
    figure["layout"] |= {"showlegend": True, "height": figure["layout"]["height"] + 30}
    figure["layout"]["margin"]["t"] = 36
    mine, last = result.precision[shown][0].item(), result.precision["attention2"][0].item()
    ablated = result.precision["ablation"][0].item()
    listed = [f"{key} {a:.2f} ({b:.2f})" for (key, _), a, b in zip(rows, trained, fresh, strict=True)]
    if shown == "ig":
        gap, steps = result.errors[1], result.params.steps
        title = Text(
            f"{steps} steps leave a gap of {gap:.0%} in the sum; integrated gradients find {mine:.0%} of the causes, "
            f"ablation {ablated:.0%}",
            f"{steps} 步时总和的误差是 {gap:.0%}；积分梯度找对 {mine:.0%} 的原因，消融找对 {ablated:.0%}",
        )
    elif shown in ("attention2", "ablation"):
        title = Text(
            f"Over 128 examples, last-layer attention finds {last:.0%} of the causes, ablation {ablated:.0%}",
            f"128 个样例里，最后一层注意力找对 {last:.0%} 的原因，消融找对 {ablated:.0%}",
        )
    else:
        title = Text(
            f"Over 128 examples, the chosen explanation finds {mine:.0%} of the causes, ablation {ablated:.0%}",
            f"128 个样例里，所选方法找对 {mine:.0%} 的原因，消融找对 {ablated:.0%}",
        )
    return Picture(
        "precision",
        title,
        Text(
            f"Bars, share of causes among the two scores largest in size (without training): {', '.join(listed)}.",
            f"条形图，分数绝对值最大的两个 token 里原因的比例，括号内为未训练时：{'、'.join(listed)}。",
        ),
        figure,
    )


def dots(name: Text, values: torch.Tensor, names: list[Text]) -> dict[str, Any]:
    """White circles over horizontal bars, apart from every colour of a bar."""
    marker = {"symbol": "circle", "size": 11, "color": "#ffffff", "line": {"color": PURPLE, "width": 2.5}}
    points = {"type": "scatter", "mode": "markers", "name": name, "x": charts.numbers(values), "y": names}
    return {**points, "marker": marker, "cliponaxis": False}


def patching_picture(result: "Result") -> Picture:
    """How much of the margin comes back when one state is put back."""
    patching, names = result.patching, ["CLS", *spelled(result)]
    back, lost = patching.restored - patching.after, patching.before - patching.after
    place = 1 + int(result.places[list(CHANGED).index(result.params.changed)])
    token = names[place]
    reach = max(abs(lost), 1.0)
    figure = charts.heatmap(
        back,
        Axis(Text("position put back", "换回的位置"), ticks=range(len(names)), tick_texts=names),
        Axis(
            "",
            ticks=range(3),
            tick_texts=[Text("input", "输入"), Text("block 1", "第 1 层后"), Text("block 2", "第 2 层后")],
        ),
        limits=(-reach, reach),
        diverging=True,
        texts=[[f"{value:.1f}" if abs(value) >= 0.05 else "" for value in row] for row in back.tolist()],
    )
    figure["data"][0] |= {"showscale": False, "colorscale": SHADES, "textfont": {"size": 11}}
    figure["layout"]["height"] = 230
    if abs(lost) < 1:
        title = Text(
            f"Changing {token} moves the margin by {abs(lost):.2f} only: there is nothing to restore",
            f"改动 {token}，logit 差只变 {abs(lost):.2f}：没有什么可恢复的",
        )
    else:
        best = 1 + int(back[1, 1:].argmax())
        at_cls, at_best = (percent((back[1, at] / lost).item()) for at in (0, best))
        title = Text(
            f"Changing {token} costs {lost:.1f} of margin. After block 1, putting back CLS restores {at_cls}; "
            f"of the tokens, {names[best]} restores most, {at_best}",
            f"改动 {token} 使 logit 差下降 {lost:.1f}。第 1 层之后，换回 CLS 恢复 {at_cls}；"
            f"各 token 中 {names[best]} 恢复得最多，{at_best}",
        )
    rows = "; ".join(", ".join(f"{value:.1f}" for value in row) for row in back.tolist())
    return Picture(
        "patching",
        title,
        Text(
            "Heatmap 3 × 9: margin restored by putting back one position, in the input, after block 1, "
            f"after block 2: {rows}.",
            f"3 × 9 热图：换回一个位置后恢复的 logit 差，依次为输入、第 1 层后、第 2 层后：{rows}。",
        ),
        figure,
    )


def percent(share: float) -> str:
    """A share as a percentage, without a minus in front of 0."""
    return f"{share:.0%}".replace("-0%", "0%") if share > -0.005 else f"{share:.0%}"


def use_picture(result: "Result") -> Picture:
    """What a probe can read against what changes the answer."""
    facts, at = result.facts, torch.arange(4)
    (own, cls), flips = facts.decoded, facts.flips
    names = [same("A"), same("B"), Text("distractor", "干扰项"), Text("filler", "填充")]
    figure = charts.bars(
        [
            Line(Text("read at the token", "在该 token 处读出"), at, own, BLUE),
            Line(Text("read at CLS", "在 CLS 处读出"), at, cls, PURPLE),
            Line(Text("answer changes", "答案改变"), at, flips, ORANGE),
        ],
        Axis(Text("whose value", "谁的值"), range=(-0.6, 4.1), ticks=at.tolist(), tick_texts=names),
        Axis(Text("share", "比例"), range=(0, 1.08)),
        [Guide(0.25, Text("chance", "瞎猜"))],
    )
    listed = "; ".join(f"{x:.2f}, {y:.2f}, {z:.2f}" for x, y, z in zip(own, cls, flips, strict=True))
    return Picture(
        "use",
        Text(
            f"A probe reads the distractor's value with {own[2]:.0%} at its place and {cls[2]:.0%} at CLS, "
            f"yet changing it changes {flips[2]:.0%} of the answers",
            f"探针能读出干扰项的值：在它自己的位置 {own[2]:.0%}，在 CLS 处 {cls[2]:.0%}；"
            f"但改动它，答案只变 {flips[2]:.0%}",
        ),
        Text(
            f"Bars for A, B, distractor, filler: probe at the token, probe at CLS, answers that change: {listed}.",
            f"A、B、干扰项、填充的条形图，依次为在该 token 处读出、在 CLS 处读出、答案改变的比例：{listed}。",
        ),
        figure,
    )
