"""What stands beside answers and numbers: which rows they are of, what was remarkable; where they are not written."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image

import sightsound as ss
from sightsound.cli.prediction_file import predict_to_file


def test_one_white_holds_for_all_images_of_a_table(typed, table: Path, tmp_path: Path) -> None:
    frame, means = pd.read_csv(table), {"low": 300, "middle": 1500, "high": 3600}
    rng = np.random.default_rng(0)
    for i, label in enumerate(frame["label"]):
        pixels = rng.normal(means[label], 40, (16, 16)).clip(0).astype(np.uint16)
        Image.fromarray(pixels).save(table.parent / f"deep{i}.png")
    frame["image"] = [f"deep{i}.png" for i in range(60)]
    frame[["image", "label"]].to_csv(table, index=False)
    done = typed("train", table, "--epochs", 20, "--batch-size", 16, "--out", tmp_path / "run")
    assert (
        "60 of the 60 images that were looked at have more than 8 bits" in done.out
        and "4095 is taken for all" in done.out
    ), done.out
    classifier = ss.load(tmp_path / "run" / "bundle")
    assert classifier.config.image.white == 4095
    Image.fromarray(np.full((16, 16), 4300, np.uint16) + rng.integers(0, 9, (16, 16)).astype(np.uint16)).save(
        tmp_path / "brighter.png"
    )
    brighter = classifier.predict(tmp_path / "brighter.png")
    assert brighter.label == "high" and "above image.white" in brighter.notes["image"]
    answers = classifier.predict_table(pd.DataFrame({"image": [str(tmp_path / "brighter.png")]}))
    assert answers["predicted"][0] == "high" and "image.white" in answers["image_note"][0]


def test_what_is_remarkable_stands_beside_the_answer(
    typed, bundle: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    samples, rate = soundfile.read(trained[0].parent / "low-0.wav")
    soundfile.write(tmp_path / "long.wav", np.tile(samples, 10), rate)
    soundfile.write(tmp_path / "silent.wav", np.zeros(rate), rate)
    given = [str(tmp_path / "long.wav"), str(tmp_path / "silent.wav"), str(trained[0].parent / "low-0.wav")]
    notes = ss.load(bundle).predict_table(pd.DataFrame({"audio": given}))["audio_note"].tolist()
    assert notes == [
        "longer than a clip; the rest was not used",
        "silent; longer than a clip; the rest was not used",
        "",
    ]
    single = [ss.load(bundle).predict(audio=path).notes.get("audio", "") for path in given]
    assert single == notes
    assert "silent" in typed("predict", bundle, "--audio", given[1]).out


def test_an_answer_is_not_written_into_the_bundle_or_over_a_file_of_the_table(
    typed, bundle: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    shutil.copytree(bundle, tmp_path / "bundle")
    before = {path: path.read_bytes() for path in (tmp_path / "bundle").iterdir()}
    for name in ("config.json", "metrics.json", "new.json"):
        for verb in ("predict", "evaluate"):
            done = typed(verb, tmp_path / "bundle", trained[0], "--out", tmp_path / "bundle" / name)
            assert done.code == 1 and "read here too" in done.err
    assert {path: path.read_bytes() for path in (tmp_path / "bundle").iterdir()} == before
    shutil.copy(trained[0].parent / "low-0.png", tmp_path / "victim.png")
    (tmp_path / "t.csv").write_text("image\nvictim.png\n")
    done = typed("predict", bundle, tmp_path / "t.csv", "--format", "text", "--out", tmp_path / "victim.png")
    assert done.code == 1 and (tmp_path / "victim.png").read_bytes() == (trained[0].parent / "low-0.png").read_bytes()


def test_answers_to_answers_to_answers(typed, bundle: Path, own: Path, tmp_path: Path) -> None:
    table = own
    for number in range(4):
        for ending in ("csv", "parquet"):
            done = typed("predict", bundle, table, "--out", tmp_path / f"again{number}.{ending}")
            assert done.code == 0, done.err
        table = tmp_path / f"again{number}.csv"
        assert len(set(pd.read_csv(table).columns)) == len(pd.read_csv(table).columns)


@pytest.mark.parametrize("damage", [("request.json", "{"), ("000000.reasons", "[]x"), ("000000.reasons", '[{"a": 1}]')])
def test_parts_that_were_damaged_are_said(
    damage: tuple[str, str], typed, bundle: Path, own: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").mkdir()
    (tmp_path / "a.csv" / "x").touch()
    out = tmp_path / "b.csv"
    rows = ss.load(bundle).rows_to_predict(own)
    with pytest.raises(ss.SightsoundError, match="cannot be written"):
        predict_to_file(ss.load(bundle), rows, tmp_path / "a.csv", "csv")  # a folder is in its place
    parts = (tmp_path / "a.csv.parts").rename(tmp_path / "b.csv.parts")
    (parts / damage[0]).write_text(damage[1])
    with pytest.raises(ss.SightsoundError, match="damaged|another table"):
        predict_to_file(ss.load(bundle), rows, out, "csv", resume=True)
    assert predict_to_file(ss.load(bundle), rows, out, "csv") and out.exists()


def test_it_is_said_which_rows_the_numbers_are_of(typed, table: Path, tmp_path: Path) -> None:
    done = typed("train", table, "--epochs", 1, "--out", tmp_path / "run")
    assert "no test rows" not in done.out
    done = typed("evaluate", tmp_path / "run" / "bundle", table)
    assert "this is the table that the classifier was trained on" in done.err and "all 60 rows count" in done.err
    frame = pd.read_csv(table)
    frame[:30].to_csv(table.parent / "other.csv", index=False)
    done = typed("evaluate", tmp_path / "run" / "bundle", table.parent / "other.csv")
    assert "All 30 rows count, since the table has no split." in done.err and "trained on" not in done.err
    frame.assign(split="train").to_csv(table, index=False)
    done = typed("train", table, "--epochs", 1, "--out", tmp_path / "untested")
    assert "There are no test rows. These are the validation rows" in done.out
    frame["audio"] = ""
    apart = pd.concat([frame, pd.read_csv(table).assign(image="")])
    apart.drop(columns="split", errors="ignore").to_csv(table, index=False)
    done = typed("train", table, "--epochs", 1, "--out", tmp_path / "detached")
    assert "no row has image and audio, so that the fusion is trained on no pair" in done.out


def test_inspect_says_what_a_training_would_refuse(typed, table: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(table)
    frame[:41].to_csv(table, index=False)
    assert "A training would refuse it" in typed("inspect", table).out
    (tmp_path / "flat").mkdir()
    shutil.copy(table.parent / "low-0.png", tmp_path / "flat")
    done = typed("inspect", tmp_path / "flat")
    assert done.code == 0 and "A training would refuse it" in done.out and "CLASS/name.png" in done.out


def test_a_name_that_is_typed_counts_though_it_is_the_usual_one(typed, table: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(table).rename(columns={"image": "photo"})
    frame.to_csv(table, index=False, encoding="utf-16")
    named = ["--columns.image", "photo", "--columns.encoding", "utf-16"]
    assert typed("train", table, *named, "--epochs", 1, "--out", tmp_path / "run").code == 0
    frame.rename(columns={"photo": "image"}).to_csv(table.parent / "other.csv", index=False)
    done = typed("predict", tmp_path / "run" / "bundle", table.parent / "other.csv", "--columns.image", "image")
    assert done.code == 0 and "no row has image" not in done.err, done.err
    done = typed("predict", tmp_path / "run" / "bundle", table.parent / "other.csv")
    assert "no row has image (column 'photo'); --columns.image names another" in done.err


def test_the_users_cells_are_not_changed(typed, bundle: Path, own: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(own).assign(number=0.123456789012345, when=pd.Timestamp("2026-01-02"), raw=[b"\xff"] * 15)
    frame["two\nlines"] = "x\ny"
    frame.to_parquet(tmp_path / "t.parquet")
    assert typed("predict", bundle, tmp_path / "t.parquet", "--out", tmp_path / "a.jsonl").code == 0
    given = json.loads((tmp_path / "a.jsonl").read_text().splitlines()[0])["given"]
    assert given["number"] == 0.123456789012345 and given["when"].startswith("2026-01-02")
    done = typed("predict", bundle, tmp_path / "t.parquet", "--out", tmp_path / "a.csv")
    assert done.code == 0, done.err
    assert pd.read_csv(tmp_path / "a.csv")["two\nlines"].tolist() == ["x\ny"] * 15


def test_parts_join_whatever_the_columns_are_called(
    bundle: Path, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sightsound.data.decode.CHUNK_ROWS", 4)
    pd.read_csv(own).rename(columns={"note": "note\n(of ours)"}).to_csv(own, index=False)
    classifier = ss.load(bundle)
    predict_to_file(classifier, classifier.rows_to_predict(own), tmp_path / "a.csv", "csv")
    answers = pd.read_csv(tmp_path / "a.csv")
    assert answers["row"].tolist() == list(range(1, 16)) and "note\n(of ours)" in answers


def test_embeddings_of_files_that_are_not_there(bundle: Path) -> None:
    found = ss.load(bundle).embed(pd.DataFrame({"image": ["gone.png"], "audio": [""]}))
    assert all(values.shape[0] == 1 and np.isnan(values).all() for values in found.values())
