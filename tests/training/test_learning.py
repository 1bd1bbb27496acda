"""The parts that need PyTorch: loss, schedule, checkpoints, export."""

# ruff: noqa: E402 - the imports need what is asked for above them
import os
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch (the training extra)")
pytest.importorskip("onnx", reason="export needs onnx (the training extra)")
pytest.importorskip("matplotlib", reason="the plots need matplotlib (the training extra)")

import cv2
import numpy as np
import onnx
import onnxruntime
from torch import Tensor, nn

from edge_agent.domain import folded
from training import cost, ctc, export
from training.data import DataError, plate_texts
from training.detector import Windowful, weights_of
from training.feed import Feed
from training.loop import CHECKPOINT, Loop, Pupils, Schedule
from training.networks import DETECTORS, LINES, READERS, Detector, Reader
from training.reader import Platefuls, taken
from training.shapes import READER_INPUT
from training.views import views


def make_loop(folder: Path) -> Loop:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    return Loop(network=network, schedule=Schedule(seconds=3600), folder=folder)


class Nought:
    """A lesson: whatever is seen, the output should be 0; teachers say what they say."""

    def __init__(self, x: Tensor) -> None:
        self.x = x

    def see(self, network: nn.Module) -> Tensor:
        return network(self.x)

    def loss(self, output: Tensor) -> Tensor:
        return output.square().mean()

    def agreed(self, outputs: list[Tensor]) -> Tensor:
        return torch.stack(outputs).mean(0)

    def distance(self, output: Tensor, agreed: Tensor) -> Tensor:
        return (output - agreed).square().mean()


def one_step(loop: Loop) -> None:
    loop.learn(loop.network(torch.rand(2, 1, 5, 5)).square().mean())


def test_decoding_joins_repeats_and_drops_blanks() -> None:
    assert ctc.decode([0, 11, 11, 0, 11, 1, 0]) == "AA0"
    assert ctc.decode([0, 0]) == ""
    assert folded("bo-12") == "B012"
    assert [ctc.decode([k]) for k in ctc.encode("Z0")] == ["Z", "0"]


def test_where_labels_fold_them_letter_o_costs_nothing() -> None:
    logits = said({2: "O"})
    alike = ctc.loss(logits, [ctc.Labelled("0", upper=1, folded=True)])
    apart = ctc.loss(logits, [ctc.Labelled("0", upper=1, folded=False)])
    assert alike < 0.1 < apart


def said(characters: dict[int, str]) -> Tensor:
    """Logits [1,16,37], eight steps a line, that are sure of these characters."""
    logits = torch.full((1, 16, 37), -12.0)
    logits[0, :, 0] = 0
    for step, character in characters.items():
        logits[0, step, 0], logits[0, step, ctc.encode(character)[0]] = -8, 4
    return logits


@pytest.mark.parametrize(("upper", "cheap"), [(1, True), (2, False), (None, True)])
def test_the_lower_line_has_its_own_steps_where_the_label_tells_the_lines_apart(
    upper: int | None, cheap: bool
) -> None:
    loss = ctc.loss(said({3: "A", 10: "7"}), [ctc.Labelled("A7", upper=upper, folded=False)])
    assert (loss < 0.1) == cheap


def test_a_plate_that_nobody_can_read_does_not_outweigh_the_others() -> None:
    hopeless, near = said({3: "B"}), said({3: "A"})
    near[0, 3, ctc.encode("B")[0]] = 4.5
    labels = [ctc.Labelled("A", upper=1, folded=False)]
    (hopeless.requires_grad_(), near.requires_grad_())
    assert ctc.loss(hopeless, labels) > ctc.loss(near, labels)
    ctc.loss(torch.cat([hopeless, near]), labels * 2).backward()
    assert near.grad.abs().sum() > hopeless.grad.abs().sum()


def test_where_there_is_nothing_to_read_any_character_costs() -> None:
    nothing = [ctc.Labelled("", upper=0, folded=False)]
    assert ctc.loss(said({}), nothing) < 0.1 < ctc.loss(said({3: "I"}), nothing)


def test_the_steps_of_the_characters_are_where_they_are_surest() -> None:
    shares = torch.log_softmax(said({2: "A", 4: "A", 6: "7"})[0, :8], -1).numpy()
    assert ctc.places(shares, "AA7") == [2, 4, 6]
    assert ctc.places(shares[:2], "AA7") == []


def test_training_goes_on_at_the_step_where_it_stopped(tmp_path: Path) -> None:
    first = make_loop(tmp_path)
    for _ in range(3):
        one_step(first)
    first.spent_s = 12.0
    first.save()
    second = make_loop(tmp_path)
    assert second.resume()
    assert (second.step, second.spent_s) == (3, 12.0)
    for a, b in zip(first.averaged.parameters(), second.averaged.parameters(), strict=True):
        assert torch.equal(a, b)
    one_step(second)
    assert second.step == 4


def test_without_a_checkpoint_training_begins(tmp_path: Path) -> None:
    assert not make_loop(tmp_path).resume()


def test_a_failed_save_leaves_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = make_loop(tmp_path)
    loop.save()
    before = (tmp_path / CHECKPOINT).read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("training.files.os.fsync", fail)
    one_step(loop)
    with pytest.raises(DataError, match="No space"):
        loop.save()
    assert [one.name for one in tmp_path.iterdir()] == [CHECKPOINT]
    assert (tmp_path / CHECKPOINT).read_bytes() == before


def test_the_rate_warms_up_by_steps_and_falls_by_time() -> None:
    schedule = Schedule(seconds=100, rate=1.0, warmup_steps=10)
    assert schedule.rate_at(0, 0) == pytest.approx(0.1, rel=0.01)
    assert schedule.rate_at(50, 0) > schedule.rate_at(50, 50) > schedule.rate_at(50, 100) > 0


@pytest.mark.parametrize(("network", "size"), [(Detector(), (64, 96)), (Reader(), READER_INPUT)])
def test_folding_the_batch_norms_changes_nothing(network: Detector | Reader, size: tuple[int, int]) -> None:
    network.train()
    x = torch.rand(2, 1, *size)
    network(x)
    with torch.no_grad():
        before, after = (list(one(x)) for one in (network.eval(), export.folded(network)))
    assert all(torch.allclose(a, b, atol=1e-3) for a, b in zip(before, after, strict=True))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_exported_reader_gives_probabilities_for_any_number_of_plates(tmp_path: Path) -> None:
    path = tmp_path / "reader.onnx"
    network = export.ReadingHead(export.folded(Reader()))
    export.to_onnx(network, path, torch.zeros(1, 1, *READER_INPUT), ("plate", "characters", "regions"), {0: "n"})
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    output, regions = session.run(None, {"plate": np.zeros((3, 1, *READER_INPUT), np.float32)})
    assert regions.sum(-1) == pytest.approx(np.ones(3), abs=1e-4)
    steps = LINES * READER_INPUT[1] // 4
    assert output.shape == (3, steps, 37)
    assert output.sum(-1) == pytest.approx(np.ones((3, steps)), abs=1e-4)


def test_the_upper_line_comes_before_the_lower_one() -> None:
    network = Reader().eval()
    lines = network.collapse[0].weight.detach().clone().unflatten(0, (-1, LINES))
    lines[:, 1] = 0
    with torch.no_grad():
        network.collapse[0].weight.copy_(lines.flatten(0, 1))
        characters, _ = network(torch.rand(1, 1, *READER_INPUT))
    upper, lower = characters.chunk(LINES, dim=1)
    middle = slice(5, -5)  # convolutions along the line see its ends
    assert upper[0, middle].std(dim=0).max() > 1e-4
    assert lower[0, middle].std(dim=0).max() < 1e-6


def test_int8_that_costs_too_much_is_not_put_in_place(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        cost.compare("reader", [0.93, 0.92])
    assert "reader, held out: float 0.9300, int8 0.9200" in caplog.text
    with pytest.raises(DataError, match=r"reader: int8 gets 0\.9000 .* not put in place"):
        cost.compare("reader", [0.93, 0.90])


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("reader.pt", "not the weights of a detector as it is now"),
        ("none.pt", "is no file of weights that PyTorch has saved"),
        ("empty.pt", "is no file of weights that PyTorch has saved"),
        ("list.pt", "holds no weights"),
        ("gone.pt", "No such file or directory"),
        ("folder", "No such file or directory"),
    ],
)
def test_a_file_of_other_weights_is_one_line(tmp_path: Path, file: str, said: str) -> None:
    torch.save(Reader().state_dict(), tmp_path / "reader.pt")
    torch.save([1], tmp_path / "list.pt")
    (tmp_path / "none.pt").write_bytes(b"no weights")
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    for use in (lambda: export.weights([tmp_path / file], Detector()), lambda: begun(tmp_path / file)):
        with pytest.raises(DataError) as fault:
            use()
        assert said in str(fault.value)
        assert "\n" not in str(fault.value)


def begun(weights: Path) -> None:
    """A training of the detector from these weights."""
    Loop(network=Detector(), schedule=Schedule(seconds=1), folder=weights.parent / "out").start_from(weights)


def test_a_checkpoint_is_what_a_training_may_start_from(tmp_path: Path) -> None:
    loop = Loop(network=Detector(), schedule=Schedule(seconds=1), folder=tmp_path)
    loop.save()
    begun(tmp_path)
    begun(tmp_path / CHECKPOINT)


def test_each_size_goes_on_from_its_own_folder_of_another_training(tmp_path: Path) -> None:
    (tmp_path / "wide").mkdir()
    assert weights_of("wide", tmp_path) == tmp_path / "wide"
    assert weights_of("small", tmp_path) is None
    for size in ("shipped", "wide"):
        assert weights_of(size, tmp_path / "reader.pt") == tmp_path / "reader.pt"
    assert weights_of("small", tmp_path / "reader.pt") is None


@pytest.mark.parametrize(
    ("kind", "sizes", "shape"), [(Reader, READERS, (64, 160)), (Detector, DETECTORS, (64, 96))]
)
def test_a_wider_network_begins_with_what_a_narrower_one_says(
    kind: type[nn.Module], sizes: dict[str, tuple[int, ...]], shape: tuple[int, int], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    narrow = kind(sizes["shipped"])
    seen = torch.rand(2, 1, *shape)
    for _ in range(20):
        narrow(seen)  # statistics of its channels that are their own
    Loop(network=narrow, schedule=Schedule(seconds=1), folder=tmp_path).save()
    wide = Loop(network=kind(sizes["wide"]), schedule=Schedule(seconds=1), folder=tmp_path / "wide")
    wide.start_from(tmp_path)
    with torch.no_grad():
        said, known = ([*one] for one in (wide.averaged(seen), narrow.eval()(seen)))
    for one, other in zip(said, known, strict=True):
        assert torch.allclose(one, other, atol=1e-2 * float(other.abs().max()))
    assert wide.teaches


def test_a_broken_checkpoint_is_one_line(tmp_path: Path) -> None:
    torch.save({"network": Detector().state_dict()}, tmp_path / CHECKPOINT)
    with pytest.raises(DataError, match=r"checkpoint.pt: is no checkpoint of this training; give another --out"):
        Loop(network=Detector(), schedule=Schedule(seconds=1), folder=tmp_path).resume()


def test_who_interrupts_a_training_loses_nothing(tmp_path: Path) -> None:
    loop = make_loop(tmp_path)

    def interrupted(_: object) -> Nought:
        raise KeyboardInterrupt

    one_step(loop)
    with pytest.raises(KeyboardInterrupt):
        Pupils([loop], interrupted).run(lambda _: "")
    again = make_loop(tmp_path)
    assert again.resume()
    assert again.step == 1


def test_a_folder_that_cannot_be_is_said_before_the_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="cannot be written"):
        Pupils([make_loop(tmp_path / "file")], lambda _: pytest.fail("it trains")).run(lambda _: "")


class Scale(nn.Module):
    """One number times the input."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


class Unlabelled(Nought):
    """The labels say nothing."""

    def loss(self, output: Tensor) -> Tensor:
        return (output * 0).sum()


def test_networks_learn_from_those_that_know_something(tmp_path: Path) -> None:
    torch.save(Scale(3.0).state_dict(), tmp_path / "known.pt")
    schedule = Schedule(seconds=3, rate=0.05, warmup_steps=1)
    knows, begins, last = (
        Loop(network=Scale(0.0), schedule=schedule, folder=tmp_path / name) for name in ("knows", "begins", "last")
    )
    knows.start_from(tmp_path / "known.pt")
    assert (knows.teaches, begins.teaches) == (True, False)
    Pupils([begins, knows, last], lambda _: Unlabelled(torch.ones(1, 1))).run(lambda _: "")
    assert begins.teaches
    assert all(2 < loop.network.scale.item() < 4 for loop in (begins, knows, last))
    assert begins.step == last.step > 20


def test_a_network_alone_learns_from_the_labels_alone(tmp_path: Path) -> None:
    class Taught(Unlabelled):
        def agreed(self, outputs: list[Tensor]) -> Tensor:
            pytest.fail("there is nobody to ask")

    alone = Loop(network=Scale(1.0), schedule=Schedule(seconds=0.2), folder=tmp_path)
    alone.began_with_weights = True
    Pupils([alone], lambda _: Taught(torch.ones(1, 1))).run(lambda _: "")
    assert alone.step > 1


def test_the_nearer_to_what_teachers_say_the_smaller_the_distance() -> None:
    plates = Platefuls(
        [(np.zeros((1, 1, *READER_INPUT), np.uint8), [], np.ones((1, 61), bool))], 1, torch.device("cpu")
    )
    regions = torch.zeros(1, 61)
    agreed = plates.agreed([(said({3: "A"}), regions), (said({3: "A"}), regions)])
    assert agreed[0].sum(-1) == pytest.approx(np.ones((1, 16)))
    same, other = (float(plates.distance((said({3: one}), regions), agreed)) for one in "AB")
    assert same == pytest.approx(0, abs=1e-4)
    assert other > 0.5
    windows = Windowful(
        [(np.zeros((1, 1, 8, 8), np.uint8), np.zeros((1, 5, 1, 1), np.float32))], torch.device("cpu")
    )
    near, far, missed = (
        torch.tensor([chance, x, 0, 0, 0]).view(1, 5, 1, 1) for chance, x in ((4.0, 0.1), (4.0, 2.0), (-4.0, 0.1))
    )
    seen = windows.agreed([near])
    assert windows.distance(near, seen) < 0.01
    assert min(windows.distance(far, seen), windows.distance(missed, seen)) > 0.5


def test_more_views_of_a_crop_show_the_same_otherwise() -> None:
    torch.manual_seed(1)
    crops = torch.rand(8, 1, 8, 20).repeat_interleave(8, 2).repeat_interleave(8, 3)
    made = views(crops, 3)
    assert made.shape == (24, *crops.shape[1:])
    assert torch.equal(made[:8], crops)
    assert made.min() >= 0
    assert made.max() <= 1
    for first in (8, 16):
        like = [
            float(torch.corrcoef(torch.stack([made[first + k].flatten(), crops[k].flatten()]))[0, 1])
            for k in range(8)
        ]
        assert all(0.3 < one < 0.9999 for one in like)


def test_a_worker_that_has_died_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.feed.LOOK_UP_S", 0.2)
    monkeypatch.setattr(Feed, "_work", lambda _feed, _seed: os._exit(9))
    with Feed(lambda _rng, _stage: 0, workers=1, seed=1) as feed, pytest.raises(DataError, match="has died"):
        feed.next()


@pytest.mark.parametrize("name", ["detector", "reader"])
def test_shipped_weights_fit_processors_without_vnni(name: str) -> None:
    graph = onnx.load(Path(export.__file__).parents[1] / "models" / f"{name}.onnx").graph
    weights = [onnx.numpy_helper.to_array(one) for one in graph.initializer]
    quantized = [one for one in weights if one.dtype == np.int8 and one.ndim > 1]
    assert quantized
    assert max(int(np.abs(one.astype(int)).max()) for one in quantized) <= 64


def test_the_mean_of_two_trainings_is_exported(tmp_path: Path) -> None:
    networks = {name: Detector() for name in ("a.pt", "b.pt")}
    for name, network in networks.items():
        torch.save(network.state_dict(), tmp_path / name)
    mean = export.weights([tmp_path / name for name in networks], Detector()).state_dict()
    a, b = (one.state_dict() for one in networks.values())
    assert not torch.equal(a["out.weight"], b["out.weight"])
    torch.testing.assert_close(mean["out.weight"], (a["out.weight"] + b["out.weight"]) / 2)


def test_a_plate_outside_its_picture_is_named_by_its_row(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((40, 80), np.uint8))
    row = "image,x,y,w,h,text,split\na.png,70,2,30,10,AB123,train\n"
    (tmp_path / "reader.csv").write_text(row, encoding="utf-8")
    with pytest.raises(DataError, match=r"reader.csv:2: box outside the picture, which is 80x40"):
        taken(plate_texts(tmp_path, "train"))
