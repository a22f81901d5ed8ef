"""Weights are found in the promised order, read without running code, and fit exactly or are refused in one line."""

from __future__ import annotations

import hashlib
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from phosphene.errors import WeightsError
from phosphene.models.weights import (
    cached_weights,
    find_weights,
    hash_in_name,
    load_file,
    load_into,
    published,
    read_shapes,
    read_state_dict,
    same_random_weights,
    weights_sha256,
)


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A weights folder and a torch hub cache of the test's own, both empty."""
    (tmp_path / "weights").mkdir()
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    monkeypatch.setenv("PHOSPHENE_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path


def small_net(width: int = 3) -> nn.Module:
    with same_random_weights():
        return nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, 2, 1))


class Code:
    """Unpickling it would create the file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def served(folder: Path, content: bytes) -> str:
    """A file that a publisher serves, named by its hash as torch hub does; its address."""
    file = folder / f"net-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    file.write_bytes(content)
    return file.as_uri()


def refusal(path: Path) -> str:
    with pytest.raises(WeightsError) as caught:
        read_state_dict(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_weights_are_looked_for_in_the_promised_order(places: Path) -> None:
    (places / "served").mkdir()
    url = served(places / "served", b"published")
    name = url.rsplit("/", 1)[-1]
    found = [find_weights("net", url=url)]
    assert found[0].read_bytes() == b"published"
    for place in (places / "weights/net.pt", places / "weights/net.pth", places / "weights/net.safetensors"):
        place.write_bytes(b"")
        found.append(find_weights("net", url=url))
    asked = places / "mine.pt"
    asked.write_bytes(b"")
    found.append(find_weights("net", asked, url=url))
    assert [file.relative_to(places).as_posix() for file in found] == [
        f"hub/checkpoints/{name}",
        "weights/net.pt",
        "weights/net.pth",
        "weights/net.safetensors",
        "mine.pt",
    ]


def test_a_file_in_the_hub_cache_is_not_fetched_again(places: Path) -> None:
    cached = places / "hub" / "checkpoints" / "net-00000000.pth"
    cached.write_bytes(b"old")
    assert find_weights("net", url="https://nowhere.invalid/net-00000000.pth") == cached


def test_a_download_that_is_not_what_its_name_says_is_refused(places: Path) -> None:
    (places / "served").mkdir()
    url = served(places / "served", b"published")
    Path(url.removeprefix("file://")).write_bytes(b"something else")
    with pytest.raises(WeightsError, match="sha256"):
        find_weights("net", url=url)
    assert cached_weights("net", url=url) is None
    assert not any((places / "hub" / "checkpoints").iterdir())


def test_absent_weights_are_one_error_with_every_way_to_get_them(places: Path) -> None:
    url = (places / "gone" / "net-01234567.pth").as_uri()
    with pytest.raises(WeightsError) as caught:
        find_weights("net", url=url)
    message = str(caught.value)
    for part in ("net.safetensors", "PHOSPHENE_WEIGHTS", "--weights FILE", "--weights random", url, "hub"):
        assert part in message
    assert "\n" not in message
    with pytest.raises(WeightsError, match=r"net\.safetensors"):
        find_weights("net")


def test_a_file_that_was_asked_for_is_never_replaced_by_another(places: Path) -> None:
    (places / "weights" / "net.safetensors").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"no weights file .*mine\.pth"):
        find_weights("net", places / "mine.pth")


def test_a_weights_folder_that_does_not_exist_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOSPHENE_WEIGHTS", "no/such/folder")
    with pytest.raises(WeightsError, match="no/such/folder"):
        cached_weights("net")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.invalid/resnet18-f37072fd.pth", "f37072fd"),
        ("https://a.invalid/mnasnet0.5_top1_67.823-3ffadce67e.pth", "3ffadce67e"),
        ("https://a.invalid/resnet18.pth", None),
    ],
)
def test_the_hash_in_a_name_is_found(url: str, expected: str | None) -> None:
    assert hash_in_name(url) == expected


@pytest.mark.parametrize("format", ["safetensors", "zip", "legacy"])
@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_every_format_gives_back_what_was_saved(tmp_path: Path, format: str, wrapper: str | None, prefix: str) -> None:
    state = {prefix + name: tensor for name, tensor in small_net().state_dict().items()}
    path = tmp_path / ("w.safetensors" if format == "safetensors" else "w.pth")
    if format == "safetensors":
        save_file(state, path)
    else:
        content = state if wrapper is None else {"epoch": 3, wrapper: state}
        torch.save(content, path, _use_new_zipfile_serialization=format == "zip")
    read = read_state_dict(path)
    assert list(read) == sorted(small_net().state_dict()) or list(read) == list(small_net().state_dict())
    assert all(torch.equal(read[name], tensor) for name, tensor in small_net().state_dict().items())


@pytest.mark.parametrize("format", ["zip", "legacy", "raw"])
def test_code_in_a_file_is_never_run(tmp_path: Path, format: str) -> None:
    proof, path = tmp_path / "proof", tmp_path / "evil.pth"
    if format == "raw":
        path.write_bytes(pickle.dumps({"weight": Code(proof)}))
    else:
        torch.save({"weight": Code(proof)}, path, _use_new_zipfile_serialization=format == "zip")
    message = refusal(path)
    assert format == "raw" or "posix.mkdir" in message or "nt.mkdir" in message
    assert not proof.exists()
    with path.open("rb") as file:  # the file is what it claims to be: full pickle runs it
        if format == "raw":
            pickle.load(file)
            assert proof.exists()


def test_a_pickled_module_is_refused_and_said_to_be_one(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "module.pth")
    assert "torch.nn.modules.linear.Linear" in refusal(tmp_path / "module.pth")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_truncated_files_are_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"w{suffix}"
    if suffix == ".pth":
        torch.save({"a": torch.ones(1000)}, path)
    else:
        save_file({"a": torch.ones(1000)}, path)
    whole = path.read_bytes()
    for share in (0, 1, 5, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:share])
        refusal(path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"hello, this is text\n" * 9, b"<html>404</html>", b"PK\x03\x04 not a zip"])
def test_what_is_not_weights_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"w{suffix}"
    path.write_bytes(content)
    refusal(path)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    assert "no weights file" in refusal(tmp_path / "absent.safetensors")
    assert "is a folder" in refusal(tmp_path)


def test_a_checkpoint_without_a_state_dict_is_described(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "loss": 0.5}, tmp_path / "w.pth")
    assert "epoch, loss" in refusal(tmp_path / "w.pth")
    torch.save(torch.ones(3), tmp_path / "w.pth")
    assert "one Tensor" in refusal(tmp_path / "w.pth")


def test_loading_gives_the_same_network_in_its_own_dtype() -> None:
    source, target = small_net(), small_net()
    nn.init.normal_(source[0].weight)
    load_into(
        target, {name: t.half() if t.is_floating_point() else t for name, t in source.state_dict().items()}, "net"
    )
    assert target[0].weight.dtype == torch.float32
    assert torch.equal(target[0].weight, source[0].weight.half().float())


def test_weights_of_another_network_are_refused_with_counts_and_names() -> None:
    net = small_net()
    before = weights_sha256(net)
    state = dict(net.state_dict())
    del state["0.weight"], state["0.bias"], state["1.running_mean"], state["1.running_var"]
    state["extra"] = torch.ones(1)
    state["3.weight"] = torch.ones(2, 5, 1, 1)
    with pytest.raises(WeightsError) as caught:
        load_into(net, state, "net", origin="w.pth")
    message = str(caught.value)
    assert "w.pth" in message
    assert "another network than net" in message
    assert "4 missing (0.weight, 0.bias, 1.running_mean, ...)" in message
    assert "1 unexpected (extra)" in message
    assert "1 of another shape (3.weight (2, 5, 1, 1) instead of (2, 3, 1, 1))" in message
    assert weights_sha256(net) == before


def test_a_batch_counter_may_be_missing() -> None:
    net = small_net()
    load_into(net, {k: v for k, v in small_net().state_dict().items() if "num_batches" not in k}, "net")
    assert int(net[1].num_batches_tracked) == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_by_name(value: float) -> None:
    state = {name: tensor.clone() for name, tensor in small_net().state_dict().items()}
    state["3.weight"][0, 0] = value
    with pytest.raises(WeightsError, match=r"3\.weight has NaN or infinity"):
        load_into(small_net(), state, "net")


def test_shapes_are_checked_before_any_tensor_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "w.safetensors"
    save_file(small_net(width=5).state_dict(), path)
    assert read_shapes(path)["0.weight"] == (5, 3, 3, 3)
    monkeypatch.setattr("phosphene.models.weights.read_state_dict", lambda _: pytest.fail("the tensors were read"))
    with pytest.raises(WeightsError, match=r"w\.safetensors has the weights of another network"):
        load_file(small_net(), path, "net")


def test_the_hash_depends_on_every_name_dtype_shape_and_value() -> None:
    def linear(dtype: torch.dtype = torch.float32, value: float = 0.5, shape: tuple[int, int] = (2, 3)) -> nn.Module:
        net = nn.Linear(3, 2, bias=False)
        net.weight = nn.Parameter(torch.full(shape, value, dtype=dtype))
        return net

    class Renamed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.other = linear().weight

    nets = [linear(), linear(torch.bfloat16), linear(value=0.25), linear(shape=(3, 2)), Renamed()]
    assert len({weights_sha256(net) for net in nets}) == len(nets)
    assert weights_sha256(linear()) == weights_sha256(linear())
    content = b"weight torch.float32 (2, 3)\n" + torch.full((2, 3), 0.5).numpy().tobytes()
    assert weights_sha256(linear()) == hashlib.sha256(content).hexdigest()


def test_a_published_network_has_the_weights_of_its_file_or_the_same_random_ones(places: Path) -> None:
    first, origin = published(small_net, "net", "random")
    again, _ = published(small_net, "net", "random")
    assert origin == "random"
    assert weights_sha256(first) == weights_sha256(again)
    kept = {f"old.{name}": tensor + 1 for name, tensor in first.state_dict().items()}
    save_file(kept, places / "weights" / "net.safetensors")
    found, origin = published(small_net, "net", rename=lambda entry: entry.removeprefix("old."))
    assert origin == "file:net.safetensors"
    assert torch.equal(next(found.parameters()), next(first.parameters()) + 1)


def test_random_weights_are_the_same_every_time_and_leave_the_callers_generator_alone() -> None:
    before = torch.random.get_rng_state()
    first = weights_sha256(small_net())
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(3)
    assert weights_sha256(small_net()) == first
    torch.random.set_rng_state(before)
