"""How scores and weights read inside the small cells of a matrix."""

import math


def score_word(score: float) -> str:
    """A score in at most five characters."""
    if math.isnan(score):
        return "NaN"
    if score < -9999:
        return "−∞" if math.isinf(score) else "−1e9" if -2e9 < score < -5e8 else "min"
    rounded = round(score, 1) + 0.0  # no −0.0
    return (f"{rounded:.1f}" if abs(score) < 100 else f"{score:.0f}").replace("-", "−")


def weight_word(weight: float) -> str:
    """A weight in at most four characters: .37, 0 or NaN."""
    if math.isnan(weight):
        return "NaN"
    return "0" if weight == 0 else "1" if weight >= 0.995 else f"{weight:.2f}"[1:] if weight >= 0.005 else "<.01"
