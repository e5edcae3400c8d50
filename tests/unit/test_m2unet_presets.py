"""M2U-Net's settings: the published ones number by number, and no others than are known."""

from dataclasses import astuple, fields, replace

import numpy as np
import pytest
import torch

from hsisr_lite.arrays import InputError
from hsisr_lite.fitting import flat_then_linear
from hsisr_lite.m2unet import dig, dil, iie, presets
from hsisr_lite.m2unet.presets import (
    OURS,
    PRESETS,
    PUBLISHED,
    PUBLISHED_PRESETS,
    Form,
    Preset,
    as_preset,
    has_bf16,
)


def test_the_paper_budget_is_the_published_schedule():
    """First rates, flat steps and falling steps of the three stages, and 260 channels."""
    table = [(dil.RATE, 1e-3, 3000, 3000), (iie.RATE, 4e-3, 2000, 2000),
             (dig.RATES["sigmoid"], 4e-3, 7000, 7000)]  # fmt: skip
    for budgets in (PRESETS, PUBLISHED_PRESETS):
        assert budgets["paper"].features == 260
        for steps, (rate, first, flat, falling) in zip(budgets["paper"].steps, table, strict=True):
            assert rate == first and steps == flat + falling
            assert flat_then_linear(flat - 1, steps) == 1
            assert flat_then_linear(flat, steps) == pytest.approx(1 - 1 / (falling + 1))
            assert flat_then_linear(steps - 1, steps) == pytest.approx(1 / (falling + 1))


def test_the_lite_budget_of_the_published_form_is_that_of_the_reference_figures():
    assert PUBLISHED_PRESETS["lite"] == Preset((1000, 600, 600), 32)
    assert PRESETS.keys() == PUBLISHED_PRESETS.keys() == {"lite", "paper"}


def test_published_is_the_opposite_of_ours_in_every_respect():
    assert astuple(OURS) == ("convex", "affine", "residual", "learned", *(True,) * 3, None, True)
    assert astuple(PUBLISHED) == ("adam", "sml", "sigmoid", "auxiliary", *(False,) * 5)


@pytest.mark.parametrize("name", [field.name for field in fields(Form)])
def test_each_change_can_be_switched_alone(name):
    value = getattr(replace(OURS, **{name: getattr(PUBLISHED, name)}), name)
    assert value == getattr(PUBLISHED, name)


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("sensors", "nnls", "convex, adam"),
        ("sensors", True, "convex, adam"),
        ("start", "regression", "affine, sml"),
        ("start", None, "affine, sml"),
        ("output", ["residual"], "residual, sigmoid"),
        ("gates", "Learned", "learned, auxiliary"),
        ("prior", 0.05, "True, False"),
        ("stop", 1, "True, False"),
        ("stop", "no", "True, False"),
        ("stop", None, "True, False"),
        ("channels_last", 0, "True, False"),
        ("channels_last", np.ones(2), "True, False"),
        ("bf16", 1.0, "True, False, None"),
        ("bf16", "auto", "True, False, None"),
        ("fused", 1, "True, False"),
    ],
)
def test_another_value_is_an_error_that_names_those_there_are(name, value, wanted):
    with pytest.raises(InputError, match=f"^{name} is .*: one of {wanted} is needed"):
        Form(**{name: value})


def test_a_budget_holds_where_nothing_else_is_asked_for():
    preset = Preset((3, 4, 5), 6)
    assert as_preset(preset, None, None) == preset
    assert as_preset(preset, 9, None) == Preset((9, 9, 9), 6)
    assert as_preset(preset, (7, 8, 9), None) == Preset((7, 8, 9), 6)
    assert as_preset(preset, [7, 8, np.int64(9)], np.int32(2)) == Preset((7, 8, 9), 2)
    assert as_preset(preset, None, 1) == Preset((3, 4, 5), 1)


@pytest.mark.parametrize(
    "steps",
    [0, -1, 1.5, True, "9", "999", (1, 2), (1, 2, 3, 4), (1, 0, 3), (1, 2, None), {1, 2, 3},
     (1, 2, 3.0), np.ones(3)],
)  # fmt: skip
def test_steps_are_one_or_three_whole_numbers(steps):
    with pytest.raises(InputError, match=r"^steps is .* is needed|are needed"):
        as_preset(PRESETS["lite"], steps, None)


@pytest.mark.parametrize("features", [0, -4, 1.5, True, "32", (32,), np.array([3])])
def test_features_are_a_whole_number_of_at_least_one(features):
    with pytest.raises(InputError, match=r"^features is .* a whole number of at least 1"):
        as_preset(PRESETS["lite"], None, features)


def test_bfloat16_is_used_where_the_device_multiplies_it(monkeypatch):
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    for able, has in (({}, False), ({"avx512_bf16": False, "avx2": True}, False),
                      ({"avx512_bf16": True}, True), ({"amx_bf16": True}, True)):  # fmt: skip
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda able=able: able)
        assert has_bf16(cpu) is has
        for supported in (True, False):
            monkeypatch.setattr(
                torch.cuda, "is_bf16_supported", lambda including_emulation, s=supported: s
            )
            assert has_bf16(cpu) is has and has_bf16(gpu) is supported
    assert presets.has_bf16 is dig.has_bf16
