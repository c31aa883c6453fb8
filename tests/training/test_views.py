"""Augmented views of the files that the head of a frozen encoder learns from."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import sightsound as ss
from sightsound.config import NO_CHANGES, AugmentConfig
from sightsound.data.table import read_table
from sightsound.encoders.base import STAGES, Encoder
from sightsound.modalities.base import Augmentation, modality
from sightsound.training.augment import Augment
from sightsound.training.feature_cache import on_cached
from sightsound.training.prepare import Prepared, prepare
from sightsound.training.views import WithViews, one_of_each, views_of_each
from tests.conftest import write_table

FILES = torch.arange(12.0).reshape(4, 3) + 1


def noisy(x: Tensor) -> Tensor:
    return x + torch.rand_like(x)


def viewed(changed: str = "decoded", views: int = 3) -> WithViews:
    doubled = nn.Linear(3, 3, bias=False)
    doubled.requires_grad_(False).weight.copy_(2 * torch.eye(3))
    return WithViews(doubled, nn.Identity(), Augmentation(**{changed: noisy}), views)


@pytest.mark.parametrize("changed", ["decoded", "features"])
def test_the_unchanged_file_is_first_and_each_view_is_another(changed: str) -> None:
    made = viewed(changed)(FILES)
    assert made.shape == (4, 4, 3)
    torch.testing.assert_close(made[:, 0], 2 * FILES)
    added = made[:, 1:] - 2 * FILES[:, None]
    assert (added >= -1e-5).all() and (added <= (2 if changed == "decoded" else 1) + 1e-5).all()
    assert len(torch.unique(added.flatten(0, 1), dim=0)) == 12


def test_views_depend_on_the_file_alone_and_nobody_else_s_draws_change() -> None:
    embed = viewed()
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    every = embed(FILES)
    assert torch.equal(torch.rand(1), expected)
    torch.testing.assert_close(viewed()(FILES[[2, 0]]), every[[2, 0]])


def test_an_augmentation_may_change_its_input() -> None:
    def in_place(x: Tensor) -> Tensor:
        return x.add_(torch.rand_like(x))

    for views in (1, 3):
        files = FILES.clone()
        made = WithViews(nn.Identity(), nn.Identity(), Augmentation(decoded=in_place), views)(files)
        torch.testing.assert_close(made[:, 0], FILES)
        assert torch.equal(files, FILES) and len(torch.unique(made.flatten(0, 1), dim=0)) == 4 * (1 + views)


class Powered(Encoder):
    """A power of the mean of an image, which nothing but its option tells."""

    def __init__(self, shape: tuple[int, ...], *, power: int = 1) -> None:
        super().__init__()
        self.stages = nn.ModuleList(nn.Identity() for _ in range(STAGES))
        self.stage_channels, self.embedding_size, self.power = [shape[0]] * STAGES, 1, power
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(shape[0], 1))

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features) ** self.power


def test_an_encoder_of_one_s_own_is_cached_with_its_options(tmp_path: Path) -> None:
    table = write_table(tmp_path / "data", rows_per_class=4)
    found = []
    for power in (1, 3):
        image = ss.ImageConfig(encoder=f"{__name__}.Powered", encoder_options={"power": power}, frozen=True)
        config = ss.Config(image=image, modalities=("image",))
        made = prepare(read_table(table, config.columns), config, tmp_path)
        store = made.rows["val"].stores["image"]
        found.append(store.read(store.entry[made.rows["val"].rows]))
    assert len(torch.unique(found[0])) > 1
    torch.testing.assert_close(found[1], found[0] ** 3)


def test_how_many_views_are_worth_their_time() -> None:
    change = Augmentation(features=noisy)
    assert [views_of_each(change, files) for files in (0, 1, 250, 251, 500, 1000, 1001)] == [4, 4, 4, 3, 2, 1, 0]
    assert views_of_each(Augmentation(), 1) == 0
    for m in ("image", "audio"):
        assert views_of_each(modality(m).augmentation(ss.Config(augment=NO_CHANGES)), 1) == 0


def test_each_view_is_drawn_as_often() -> None:
    drawn = one_of_each(torch.arange(5.0).repeat(10_000, 1)[:, :, None])
    counts = torch.bincount(drawn[:, 0].long())
    assert drawn.shape == (10_000, 1) and (counts - 2000).abs().max() < 200


@pytest.fixture(scope="module", autouse=True)
def _with_views() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("sightsound.training.views.VIEWS", 4)
        yield


@pytest.fixture(scope="module")
def prepared(_with_views: None, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("views")
    table = write_table(folder / "data", rows_per_class=8)
    image = ss.ImageConfig(encoder="lite0", frozen=True, height=32, width=32)
    config = ss.Config(image=image, audio=ss.AudioConfig(encoder="speech", frozen=True))
    return prepare(read_table(table, config.columns), config, folder)


@pytest.mark.parametrize("m", ["image", "audio"])
def test_rows_to_learn_from_have_views_and_validation_and_test_rows_have_none(prepared: Prepared, m: str) -> None:
    train, val, test = (prepared.rows[split] for split in ("train", "val", "test"))
    seen = train.stores[m]
    for rows in (train, val):  # both, since heads are trained on them together in the end
        plain = val.stores[m].read(val.stores[m].entry[rows.rows])
        both = seen.read(seen.entry[rows.rows])
        assert both.shape == (len(rows), 5, plain.shape[1])
        torch.testing.assert_close(both[:, 0], plain, atol=2e-4, rtol=1e-4)
        assert ((both[:, 1:] - both[:, :1]).abs().amax(2) > 0.01).all()
    assert not seen.entry[test.rows].any()
    assert test[[0]].inputs[m].dim() == 2


def test_training_draws_a_view_and_everything_else_reads_the_file(prepared: Prepared) -> None:
    network = on_cached(prepared.network, prepared.cached)
    batch = prepared.rows["train"][list(range(6))]
    plain = {m: x[:, 0] for m, x in batch.inputs.items()}
    for m, x in network.eval().featurize(batch).inputs.items():
        assert torch.equal(x, plain[m])
    augment = Augment(prepared.config)
    drawn = [augment(network.train(), batch).inputs for _ in range(20)]
    for m, views in batch.inputs.items():
        chosen = torch.stack([(one[m][:, None] == views).all(2).float().argmax(1) for one in drawn])
        assert all((one[m][:, None] == views).all(2).any(1).all() for one in drawn)
        assert set(chosen.flatten().tolist()) == set(range(5))


def test_one_modality_s_draws_do_not_depend_on_the_other(prepared: Prepared) -> None:
    network = on_cached(prepared.network, prepared.cached)
    batch = prepared.rows["train"][list(range(6))]
    augment = Augment(prepared.config)
    torch.manual_seed(3)
    both = augment(network, batch).inputs["audio"]
    plain = batch._replace(inputs=batch.inputs | {"image": batch.inputs["image"][:, 0]})
    torch.manual_seed(3)
    assert torch.equal(augment(network, plain).inputs["audio"], both)


def test_other_augmentation_gives_other_views(tmp_path: Path, prepared: Prepared) -> None:
    config = ss.Config(
        image=ss.ImageConfig(encoder="lite0", frozen=True, height=32, width=32),
        modalities=("image",),
        augment=AugmentConfig(image_rotate_degrees=30.0),
    )
    again = prepare(read_table(prepared.table.root / "table.csv", config.columns), config, tmp_path)
    before, after = (of.rows["train"].stores["image"] for of in (prepared, again))
    both = [store.read(store.entry[again.rows["train"].rows]) for store in (before, after)]
    torch.testing.assert_close(both[0][:, 0], both[1][:, 0], atol=2e-4, rtol=1e-4)
    assert ((both[0][:, 1:] - both[1][:, 1:]).abs().amax(2) > 0.01).all()
