"""The claims of `model_choice`."""

import math
from typing import TYPE_CHECKING

from demos.kit.contract import Claim
from language import Text, same

if TYPE_CHECKING:
    from demos.model_choice import Result

TESTS, TRAINED, PAIRS, VALUES, KERNEL = 1000, 10, 8, 8, 3


def claims(result: "Result") -> list[Claim]:
    """What one more token costs, then who can do the chosen task."""
    of_task = {"motif": motif_claims, "parity": parity_claims, "recall": recall_claims}[result.params.task]
    return [*of_task(result), *cost_claims(result)]


def error(chance: float, count: int) -> float:
    """Five standard errors of a share."""
    return 5 * math.sqrt(chance * (1 - chance) / count)


def motif_claims(result: "Result") -> list[Claim]:
    """Locality and shared weights against capacity, with few examples."""
    scores = result.scores
    cnn, transformer = scores["cnn"], scores["transformer"]
    better = Text("Accuracy of the CNN on new sequences", "CNN 在新序列上的正确率")
    than = Text(
        "above the Transformer's: a three-token detector shared by all places needs few examples",
        "高于 Transformer：各位置共用一个三 token 检测器，需要的样本少",
    )
    size = Text("Parameters of the CNN, fewer than the Transformer's", "CNN 的参数量，少于 Transformer")
    counts = Text(
        "filters 3·32², embeddings 6·32 and biases, against two blocks of 12·32²",
        "卷积核 3·32²、嵌入 6·32 和偏置，对两个各 12·32² 的块",
    )
    fitted = Text(
        "The Transformer's accuracy on training minus that on new sequences",
        "Transformer 在训练序列上的正确率减去新序列上的",
    )
    memorised = Text(
        "more than 5 standard errors of 1000 tests: what it fits is not the rule",
        "超过 1000 次测试的 5 个标准误：拟合的并不是规则",
    )
    gap = transformer.train_accuracy - transformer.accuracy.mean().item()
    bar, few = transformer.accuracy.mean().item(), cnn.parameters
    made = [
        Claim("cnn_beats_transformer", better, cnn.accuracy.mean().item(), ">", bar, than),
        Claim("cnn_is_smaller", size, few, "<", transformer.parameters, counts),
    ]
    if result.params.examples == 64:  # with more, 200 steps do not suffice to fit them
        made.append(Claim("transformer_memorises", fitted, gap, ">", error(0.5, TESTS), memorised))
    return made


def parity_claims(result: "Result") -> list[Claim]:
    """State tracking beyond the training length."""
    gru, transformer, cnn = (result.scores[kind].accuracy for kind in ("gru", "transformer", "cnn"))
    far = Text("GRU: accuracy at positions 21 to 60", "GRU：第 21 到 60 位的正确率")
    rule = Text(
        "one bit of state and one rule at every step, at any length; 0.9 is a lenient bound",
        "一个比特的状态，每步同一条规则，与长度无关；0.9 是宽松的下限",
    )
    lost = Text("Transformer: accuracy at positions 21 to 60", "Transformer：第 21 到 60 位的正确率")
    untrained = Text(
        "their position vectors were never trained; chance is 1/2, and 0.6 a lenient bound",
        "那些位置向量从未训练过；瞎猜是 1/2，0.6 是宽松的上限",
    )
    window = Text("CNN: accuracy from position 4 on", "CNN：从第 4 位起的正确率")
    blind = Text(
        "it sees 3 bits, and the parity of the others is a fair coin; ± 5 standard errors of 1000 sequences",
        "它只看得到 3 个比特，其余的奇偶是公平的硬币；± 1000 条序列的 5 个标准误",
    )
    # the answers within one sequence depend on each other, so only the 1000 sequences count
    slack = error(0.5, TESTS)
    return [
        Claim("gru_extrapolates", far, gru[20:].mean().item(), ">", 0.9, rule),
        Claim("transformer_does_not", lost, transformer[20:].mean().item(), "<", 0.6, untrained),
        Claim("cnn_cannot_see_parity", window, cnn[KERNEL:].mean().item(), "=", 0.5, blind, slack),
    ]


def recall_claims(result: "Result") -> list[Claim]:
    """Looking up one of eight values."""
    means = {kind: score.accuracy.mean().item() for kind, score in result.scores.items()}
    near = (KERNEL - 1) / PAIRS  # chance that the pair is within the window, beside the query itself
    ceiling = near + (1 - near) / VALUES
    found = Text("Transformer: accuracy of the value", "Transformer：答对 value 的比例")
    one_hop = Text(
        "one attention layer can compare the query with every key; 0.9 is a lenient bound",
        "一层注意力就能把 query 与每个 key 比较；0.9 是宽松的下限",
    )
    lossy = Text("GRU: accuracy of the value, below the Transformer's", "GRU：答对的比例，低于 Transformer")
    squeezed = Text("eight pairs must share one state of 32 numbers", "8 对要挤进一个 32 维的状态")
    window = Text("CNN: accuracy of the value", "CNN：答对的比例")
    limit = Text(
        "its window holds 2 of the 8 pairs, the rest is a guess among 8: 2/8 + 6/8 · 1/8; + 5 standard errors",
        "窗口里只有 8 对中的 2 对，其余从 8 个里瞎猜：2/8 + 6/8 · 1/8；+ 5 个标准误",
    )
    return [
        Claim("attention_looks_up", found, means["transformer"], ">", 0.9, one_hop),
        Claim("fixed_state_lags", lossy, means["gru"], "<", means["transformer"], squeezed),
        Claim("window_limits_cnn", window, means["cnn"], "<=", ceiling, limit, error(ceiling, TESTS)),
    ]


def cost_claims(result: "Result") -> list[Claim]:
    """One more token in one layer, counted by PyTorch."""
    n, d, cost = result.params.context, result.params.width, result.cost
    attention = Text("FLOPs of one token in a Transformer layer", "一层 Transformer 处理一个 token 的 FLOPs")
    recurrent = Text("FLOPs of one token in a GRU layer", "一层 GRU 处理一个 token 的 FLOPs")
    cache = Text("Numbers in the cache of the layer", "该层缓存里的数")
    state = Text("Numbers in the GRU's state", "GRU 状态里的数")
    grows = Text("$2nd$: a key and a value per token", "$2nd$：每个 token 一个 key、一个 value")
    fixed = Text("$d$, whatever $n$", "$d$，与 $n$ 无关")
    return [
        Claim("attention_token_cost", attention, cost.attention_flops, "=", 24 * d**2 + 4 * n * d, same("$24d^2+4nd$")),
        Claim("gru_token_cost", recurrent, cost.recurrent_flops, "=", 12 * d**2, same("$12d^2$")),
        Claim("cache_grows", cache, cost.cached, "=", 2 * n * d, grows),
        Claim("state_is_constant", state, cost.state, "=", d, fixed),
    ]
