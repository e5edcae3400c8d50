"""Files of tensors: written whole or not at all, and read without running anything in them."""

import pickle
from pathlib import Path

import pytest
import torch

from hsisr_lite.arrays import InputError
from hsisr_lite.tensor_files import as_writable, load_tensors, save_tensors


class Harm:
    """What a file must not do to whoever reads it."""

    def __reduce__(self):
        return print, ("harm is done",)


def test_nothing_in_a_file_runs(tmp_path, capsys):
    plain, zipped = tmp_path / "plain.pt", tmp_path / "zipped.pt"
    plain.write_bytes(pickle.dumps(Harm()))
    torch.save({"weights": Harm()}, zipped)
    for path in (plain, zipped):
        with pytest.raises(InputError, match="cannot be read as tensors"):
            load_tensors(path)
    assert capsys.readouterr().out == ""
    pickle.loads(plain.read_bytes())  # what pickle itself would have done
    assert capsys.readouterr().out == "harm is done\n"


def test_a_file_that_is_missing_cut_or_empty_is_named(tmp_path):
    with pytest.raises(InputError, match="there is no file"):
        load_tensors(tmp_path / "nothing.pt")
    with pytest.raises(InputError, match="there is no file"):
        load_tensors(tmp_path)
    path = tmp_path / "weights.pt"
    save_tensors({"a": torch.arange(100)}, path)
    for cut in (path.read_bytes()[:200], b""):
        path.write_bytes(cut)
        with pytest.raises(InputError, match=r"weights\.pt cannot be read"):
            load_tensors(path)


def test_a_failed_write_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "weights.pt"
    save_tensors({"a": torch.ones(2)}, path)

    def full(content, part):
        part.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="no space"):
        save_tensors({"a": torch.zeros(2)}, path)
    assert torch.equal(load_tensors(path)["a"], torch.ones(2))
    assert list(tmp_path.iterdir()) == [path]


def test_tensors_and_plain_values_come_back_as_they_were(tmp_path):
    content = {
        "weights": [torch.randn(2, 3), torch.arange(3)],
        "more": {"text": "a", "number": 1.5, "whole": 7, "none": None},
        "exact": torch.ones(1, dtype=torch.float64),
    }
    path = tmp_path / "weights.pt"
    save_tensors(content, str(path))
    found = load_tensors(str(path))
    assert found["exact"].dtype == torch.float64
    assert found["more"] == content["more"]
    for one, other in zip(found["weights"], content["weights"], strict=True):
        assert torch.equal(one, other) and one.dtype == other.dtype
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_neither_a_tensor_nor_plain_is_not_read_back(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save({"a": Path("b")}, path)
    with pytest.raises(InputError, match="cannot be read as tensors"):
        load_tensors(path)


def test_a_place_is_tried_and_left_as_it_was(tmp_path):
    path = tmp_path / "weights.pt"
    assert as_writable(str(path)) == path and list(tmp_path.iterdir()) == []
    path.write_bytes(b"old")
    assert as_writable(path) == path and path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("path", [1, b"a", ["a"], True, None])
def test_the_name_of_a_file_is_a_string_or_a_path(path):
    for use in (as_writable, load_tensors):
        with pytest.raises(InputError, match=r"a string or a Path is needed"):
            use(path)


@pytest.mark.parametrize("path", ["no/such/folder/a.pt", "a\0b", ""])
def test_a_place_that_cannot_be_written_is_named(path):
    with pytest.raises(InputError, match=r"cannot be written .* folder that exists is needed"):
        as_writable(path)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(InputError, match=r"cannot be written \(it is a folder\)"):
        as_writable(tmp_path)
