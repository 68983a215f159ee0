"""Data sheets and decoding steps against published parameters and arithmetic by hand."""

import pytest

from demos.kit.chips import CHIPS, decode
from demos.kit.published import MODELS, Config, parameters

LLAMAS = ("llama2_7b", "llama3_8b", "llama2_70b", "mistral_7b")


def read(config: Config) -> int:
    return config.published - config.vocabulary * config.width


@pytest.mark.parametrize(("name", "ridge"), [("t4", 203.1), ("a100", 153.0), ("h100", 295.3)])
def test_the_ridge_is_peak_over_bandwidth(name: str, ridge: float):
    assert CHIPS[name].ridge == pytest.approx(ridge, abs=0.05)


@pytest.mark.parametrize("chip", CHIPS.values(), ids=CHIPS)
@pytest.mark.parametrize("intensity", [0.5, 10, 1e3, 1e5])
def test_the_least_time_is_the_work_over_the_roof(chip, intensity: float):
    assert chip.seconds(1e12, 1e12 / intensity) == pytest.approx(1e12 / chip.attainable(intensity))


@pytest.mark.parametrize("name", LLAMAS)
def test_a_step_reads_every_parameter_but_the_input_embedding(name: str):
    config = MODELS[name]
    assert sum(parameters(config).values()) == config.published
    assert decode(config, 1, 0).weights == read(config)
    assert decode(config, 1, 0).cache == 0


def test_flops_are_two_per_matrix_weight_and_token_and_four_per_feature_and_cached_token():
    config = MODELS["llama2_7b"]
    norms = (2 * config.layers + 1) * config.width
    step = decode(config, 3, 100)
    assert step.flops == 3 * (2 * (read(config) - norms) + 4 * config.layers * config.width * 100)


def test_a_cached_token_takes_512_kib_in_llama_2_7b_and_320_in_llama_2_70b():
    assert decode(MODELS["llama2_7b"], 2, 10).cache == 2 * 10 * 512 * 1024
    assert decode(MODELS["llama2_70b"], 1, 1).cache == 320 * 1024


@pytest.mark.parametrize(("name", "shared"), [("llama2_7b", 1), ("llama3_8b", 4), ("llama2_70b", 8)])
def test_attention_does_as_many_flops_per_byte_as_queries_share_a_key(name: str, shared: int):
    """In 16 bits: 4 FLOPs per query head and feature on 4 bytes of key and value; no batch changes that."""
    config = MODELS[name]
    for batch in (1, 16):
        with_cache, without = decode(config, batch, 64), decode(config, batch, 0)
        assert with_cache.flops - without.flops == shared * with_cache.cache


def test_reading_llama_2_7b_takes_the_milliseconds_of_the_answer():
    step = decode(MODELS["llama2_7b"], 1, 0)
    least = {name: 1e3 * chip.seconds(step.flops, step.size(16)) for name, chip in CHIPS.items()}
    assert least == pytest.approx({"t4": 41.30, "a100": 6.48, "h100": 3.94}, abs=5e-3)
    a100 = CHIPS["a100"]
    assert 1e3 * a100.seconds(step.flops, step.size(4)) == pytest.approx(1.62, abs=5e-3)
