"""A file of weights brings the same network back, or says why it cannot."""

import pytest
import torch

from hsisr_lite.arrays import InputError
from hsisr_lite.tensor_files import load_tensors, save_tensors
from hsisr_lite.uafl import UAFL, load_weights, save_weights

OPTIONS = [
    {},
    {
        "msi_bands": 5,
        "endmembers": 2,
        "blocks": (1, 2, 1),
        "swapped_flow": True,
        "shift_mask": False,
    },
    {"alignment": "dcnv2", "attention": "concat_each", "merging": "concat", "bands": 7},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_what_comes_back_is_the_same_network(options, tmp_path):
    network = UAFL(**{"width": 8, "blocks": (1, 1), **options})
    save_weights(network, tmp_path / "uafl.pt")
    again = load_weights(str(tmp_path / "uafl.pt"))
    assert again.arguments == network.arguments
    x, r = torch.rand(1, 7, 17, 9), torch.rand(1, network.arguments["msi_bands"], 17, 9)
    with torch.no_grad():
        assert torch.equal(again(x, r), network(x, r))
    assert [path.name for path in tmp_path.iterdir()] == ["uafl.pt"]


def test_a_file_holds_tensors_and_plain_values_only(tmp_path):
    save_weights(UAFL(width=8, blocks=(1, 1)), tmp_path / "uafl.pt")
    content = load_tensors(tmp_path / "uafl.pt")  # weights_only
    assert content["arguments"]["blocks"] == [1, 1]
    assert all(isinstance(values, torch.Tensor) for values in content["weights"].values())


@pytest.mark.parametrize(
    "content",
    [
        {"arguments": {}},
        {"arguments": {"width": 12}, "weights": {}},
        {"arguments": {"depth": 3}, "weights": {}},
        {"arguments": {"width": 8, "blocks": [1, 1]}, "weights": {"head.weight": torch.ones(1)}},
        [1, 2],
        torch.ones(3),
    ],
    ids=lambda content: type(content).__name__,
)
def test_a_file_of_something_else_says_so(content, tmp_path):
    save_tensors(content, tmp_path / "other.pt")
    with pytest.raises(InputError, match=r"other.pt holds no UAFL.*save_weights"):
        load_weights(tmp_path / "other.pt")


def test_weights_of_another_size_say_so(tmp_path):
    save_weights(UAFL(width=8, blocks=(1, 1)), tmp_path / "uafl.pt")
    content = load_tensors(tmp_path / "uafl.pt")
    content["arguments"]["width"] = 16
    save_tensors(content, tmp_path / "uafl.pt")
    with pytest.raises(InputError, match="holds no UAFL"):
        load_weights(tmp_path / "uafl.pt")


def test_a_missing_file_and_a_missing_folder_say_so(tmp_path):
    with pytest.raises(InputError, match="no file"):
        load_weights(tmp_path / "none.pt")
    with pytest.raises(InputError, match="cannot be written"):
        save_weights(UAFL(width=8, blocks=(1, 1)), tmp_path / "none" / "uafl.pt")


def test_only_a_uafl_can_be_saved(tmp_path):
    with pytest.raises(InputError, match="of type Linear: a UAFL is needed"):
        save_weights(torch.nn.Linear(1, 1), tmp_path / "uafl.pt")
