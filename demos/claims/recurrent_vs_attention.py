"""The claims of `recurrent_vs_attention`."""

import math
from typing import TYPE_CHECKING

from demos.kit.contract import Claim
from language import Text, same

if TYPE_CHECKING:
    from demos.recurrent_vs_attention import Result

UNIT, WIDTH = 2.0**-24, 64
SHARP, SPREAD = 0.4, 5  # relative spread of a gradient (a weight e^s, s of spread 1/3: 0.34, and the score's path)


def claims(result: "Result") -> list[Claim]:
    """Products of Jacobians, one short path and its price, what is learned, and the bill."""
    gradients = [rnn_claim(result), *lstm_claims(result), *attention_claims(result)]
    return [*gradients, *recall_claims(result), *chain_claims(result), *cost_claims(result)]


def rnn_claim(result: "Result") -> Claim:
    """A product of Jacobians: exact where it is linear, bounded where tanh is in it."""
    params, curve = result.params, result.rnn
    far = min(50, params.length - 1)
    if params.recurrence == "linear":
        sentence = Text("Factor per token of the linear RNN's gradient", "线性 RNN 的梯度每步的倍数")
        why = Text(
            "an orthogonal matrix times ρ keeps every length times ρ; rounding", "ρ 乘正交矩阵，长度恰好乘 ρ；舍入"
        )
        measured = (curve[far] / curve[1]).item() ** (1 / (far - 1))
        return Claim("linear_gradient_is_a_power", sentence, measured, "=", params.rho, why, 4 * WIDTH * UNIT)
    if params.recurrence == "orthogonal":
        sentence = Text(
            "Largest gradient of the tanh RNN over $\\rho^k$ times its start",
            "tanh RNN 的梯度与 $\\rho^k$ 倍起点之比的最大值",
        )
        why = Text("every step also multiplies by tanh′ ≤ 1; rounding", "每步还要乘 tanh′ ≤ 1；舍入")
        ratios = [value / (result.output_size * params.rho**k) for k, value in enumerate(curve[: far + 1].tolist())]
        return Claim("tanh_shrinks_the_power", sentence, max(ratios), "<=", 1.0, why, far * WIDTH * UNIT)
    sentence = Text(
        f"PyTorch's RNN: gradient {far} tokens back over that 1 token back",
        f"PyTorch 默认 RNN：往回 {far} 个与 1 个的梯度之比",
    )
    why = Text(
        "its matrix has spectral radius near $1/\\sqrt3$ (circular law), and tanh′ ≤ 1",
        "矩阵的谱半径约 $1/\\sqrt3$（圆律），且 tanh′ ≤ 1",
    )
    return Claim("default_rnn_vanishes", sentence, (curve[far] / curve[1]).item(), "<", 3 ** (-(far - 1) / 2), why)


def lstm_claims(result: "Result") -> list[Claim]:
    """Forget gates near one half multiply to nothing; gates near 1 keep the path open."""
    params, curve = result.params, result.lstm
    sentence = Text(
        "Forget bias 0: tokens until the gradient has fallen a millionfold",
        "遗忘门偏置 0：梯度降到百万分之一所需的 token 数",
    )
    why = Text(
        "gates of ½ alone take 20; the paths through h add to it; a lenient bound",
        "只乘 ½ 的门要 20 个；经过 h 的路径会多一些；取宽松的上限",
    )
    fall = math.nan if result.fall is None else float(result.fall)
    made = [Claim("closed_gates_forget", sentence, fall, "<", 50.0, why)]
    if params.bias >= 3:
        far = min(50, params.length - 1)
        open_gate = 1 / (1 + math.exp(-params.bias))
        kept = Text(
            f"Open gates: gradient {far} tokens back over that 1 token back",
            f"遗忘门打开：往回 {far} 个与 1 个的梯度之比",
        )
        path = Text(
            "the direct cell path keeps $\\sigma(b)$ per token; half of it, since inputs differ",
            "细胞状态的直接通路每步保留 $\\sigma(b)$；各输入有差异，取一半",
        )
        measured = (curve[far] / curve[1]).item()
        made.append(Claim("open_gates_keep_the_path", kept, measured, ">", open_gate ** (far - 1) / 2, path))
    return made


def attention_claims(result: "Result") -> list[Claim]:
    """No trend over distance; divided by the length instead."""
    others = result.attention[1:]  # without the token itself, which the residual connection serves
    half = len(others) // 2
    near, far = others[:half], others[half:]
    error = SHARP * math.sqrt(1 / len(near) + 1 / len(far))
    long = result.attention_long[1:]
    n, most = len(others) + 1, len(long) + 1
    uneven = SPREAD * SHARP * math.sqrt(1 / n + 1 / most)
    made = [
        Claim(
            "attention_has_no_trend",
            Text(
                "Attention: gradient of the far half over that of the near half", "注意力：较远一半与较近一半的梯度之比"
            ),
            (far.mean() / near.mean()).item(),
            "=",
            1.0,
            Text(
                "random tokens are exchangeable: distance does not enter; ± 5 standard errors",
                "随机 token 可以互换，距离不起作用；± 5 个标准误",
            ),
            SPREAD * error,
        )
    ]
    if n < most:
        sentence = Text(
            f"Attention: mean gradient at {n} tokens over that at {most}",
            f"注意力：{n} 个与 {most} 个 token 的平均梯度之比",
        )
        why = Text(
            "the weights of a row sum to 1, so their mean is 1/n; ± 5 standard errors",
            "一行权重之和为 1，平均就是 1/n；± 5 个标准误",
        )
        ratio = (others.mean() / long.mean()).item()
        made.append(Claim("attention_is_diluted", sentence, ratio, "=", most / n, why, uneven * most / n))
    return made


def recall_claims(result: "Result") -> list[Claim]:
    """What 200 steps teach about the first token."""
    length, accuracy = result.params.distance, result.accuracy
    reached = Text("one step from the output at any length", "无论多长，离输出都只有一步")
    starved = Text(
        "hardly any gradient reaches it; chance is ⅛, a lenient bound", "几乎没有梯度传到那里；瞎猜是 ⅛，取宽松的上限"
    )
    carried = Text(
        f"open gates carry $\\sigma(4)^{{{length}}}\\approx{(1 + math.exp(-4)) ** -length:.2f}$",
        f"打开的门保留 $\\sigma(4)^{{{length}}}\\approx{(1 + math.exp(-4)) ** -length:.2f}$",
    )
    made = [
        Claim(
            "attention_recalls",
            Text(
                f"Accuracy of attention at naming the first of {length} tokens",
                f"注意力说出 {length} 个 token 里第一个的正确率",
            ),
            accuracy["attention"],
            ">",
            0.95,
            reached,
        ),
        Claim(
            "rnn_does_not_recall",
            Text("Accuracy of the simple RNN", "普通 RNN 的正确率"),
            accuracy["rnn"],
            "<",
            0.3,
            starved,
        ),
    ]
    if length >= 20:
        closed = Text("Accuracy of the LSTM with forget bias 0", "遗忘门偏置 0 的 LSTM 的正确率")
        made.append(Claim("closed_lstm_does_not_recall", closed, accuracy["lstm_0"], "<", 0.3, starved))
    if length <= 40:
        opened = Text("Accuracy of the LSTM with forget bias 4", "遗忘门偏置 4 的 LSTM 的正确率")
        made.append(Claim("open_lstm_recalls", opened, accuracy["lstm_4"], ">", 0.95, carried))
    return made


def chain_claims(result: "Result") -> list[Claim]:
    """What waits for what."""
    per_token = (result.chains["default"][-1] - result.chains["default"][-2]) / (
        result.chained[-1] - result.chained[-2]
    )
    attention = result.chains["attention"]
    return [
        Claim(
            "recurrent_chain_grows",
            Text("Dependent operations that one more token adds in the RNN", "RNN 每多一个 token，多出的依次运算"),
            per_token,
            ">=",
            3.0,
            Text(
                "at least a product, a sum and a tanh wait for the state",
                "至少一次乘法、一次加法和一次 tanh 要等前一个状态",
            ),
        ),
        Claim(
            "attention_chain_is_constant",
            Text(
                f"Dependent operations at {result.chained[-1]} tokens minus those at {result.chained[0]}, attention",
                f"注意力：{result.chained[-1]} 个 token 与 {result.chained[0]} 个 token 的依次运算之差",
            ),
            attention[-1] - attention[0],
            "=",
            0.0,
            Text("no position waits for another", "各位置互不等待"),
        ),
    ]


def cost_claims(result: "Result") -> list[Claim]:
    """Multiply-adds and weights of one layer."""
    n, d = result.params.tokens, result.params.width
    attention, lstm, rnn = (
        result.multiply_adds[kind][result.costed.index(n)] for kind in ("attention", "lstm", "default")
    )
    return [
        Claim(
            "attention_to_lstm",
            Text("Multiply-adds of attention over those of the LSTM", "注意力与 LSTM 的乘加之比"),
            attention / lstm,
            "=",
            (n + 2 * d) / (4 * d),
            same("$(4nd^2+2n^2d)/(8nd^2)$"),
            1e-12,
        ),
        Claim(
            "attention_to_rnn",
            Text("Multiply-adds of attention over those of the simple RNN", "注意力与普通 RNN 的乘加之比"),
            attention / rnn,
            ">",
            2.0,
            same("$(4nd^2+2n^2d)/(2nd^2)=2+n/d$"),
        ),
        Claim(
            "lstm_has_twice_the_matrices",
            Text("Numbers in the matrices of an LSTM layer over those of attention", "LSTM 层与注意力层的矩阵参数之比"),
            result.matrices["lstm"] / result.matrices["attention"],
            "=",
            2.0,
            same("$8d^2/4d^2$"),
        ),
    ]
