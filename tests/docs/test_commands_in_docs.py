"""Every command and every piece of Python that the README shows is run, as it stands there."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from sightsound.cli import VERBS
from tests.conftest import CLASSES
from tests.e2e.test_long_video_hub import write_hub, write_video
from tests.originals import serve, write_fsdd_archive, write_mnist

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text()


def blocks(language: str, page: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, flags=re.DOTALL)


@pytest.fixture
def workplace(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the README speaks of."""
    shutil.copytree(table.parent, tmp_path / "work")
    for name in ("low-0.png", "low-0.wav", "high-1.wav"):
        (tmp_path / "work" / "photos_and_sounds").mkdir(exist_ok=True)
        shutil.copy(table.parent / name, tmp_path / "work" / "photos_and_sounds" / name)
    for name, source in (("7.png", "low-0.png"), ("seven.wav", "low-0.wav")):
        shutil.copy(table.parent / source, tmp_path / "work" / name)
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture
def named_data(server: tuple[str, Path], own_cache: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands behind the names that the README trains on: a server, a folder of videos, a Hugging Face data set."""
    write_mnist(server[1])
    serve(monkeypatch, "mnist", sorted(server[1].glob("*.gz")))
    archive = write_fsdd_archive(workplace)
    shutil.copy(archive, server[1])
    serve(monkeypatch, "fsdd", [archive])
    for label in CLASSES:
        for i in range(4):
            write_video(workplace / "clips" / label / f"{i}.mp4", label, seconds=2.0)
    write_hub(workplace / "OWNER" / "NAME", workplace / "table.csv")


def test_the_readme_commands_work_in_their_order(
    typed, workplace: Path, named_data: None, server: tuple[str, Path]
) -> None:
    lines = [line for block in blocks("bash") for line in block.splitlines() if line.startswith("sightsound")]
    assert {shlex.split(line)[1] for line in lines} >= set(VERBS) - {"demo", "completion", "version"}
    for line in lines:
        words = shlex.split(line)[1:]
        if words[1] == "fetch":
            words += ["--mirror", server[0]]  # a test has no other network
        if words[0] == "train" and words[1] in ("mnist+fsdd", "video", "hub:OWNER/NAME"):
            words = [word.replace("20000", "60") for word in words] + ["--epochs", "1"]  # nor the time
        if words[0] == "compare":
            words += ["--epochs", "2", "--batch-size", "16", "--seeds", "1"]
            words += ["--strategies", "concat,vote"]  # test_compare has more
        if words[0] == "robustness":
            words += ["--rows", "6"]  # test_robustness has more
        if words[:2] == ["translate", "fit"]:
            words += ["--meaning-steps", "1", "--decoder-steps", "1", "--flow-steps", "1"]
        done = typed(*words)
        assert done.code == 0, (line, done.err)
    assert (workplace / "runs" / "first" / "report.html").exists() and (workplace / "answers.csv").exists()


def test_the_readme_python_works(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exec("\n".join(blocks("python")), {"__name__": "__main__"})
    printed = capsys.readouterr().out
    assert "low" in printed and (workplace / "my.bundle").exists()
    assert re.search(r"^\[[01]\.\d* +[01]\.\d*\]$", printed, re.MULTILINE)


def test_the_python_of_the_documentation_works(workplace: Path) -> None:
    """One block goes on where the one before ended."""
    for page in (REPOSITORY / "docs").glob("*.md"):
        exec("\n".join(blocks("python", page.read_text())), {"__name__": "__main__"})
    assert (workplace / "best.bundle").exists()


def test_the_two_first_commands_are_make_targets_and_what_ci_runs() -> None:
    assert blocks("bash")[0].split("\n")[:2] == ["make demo", "make test"]
    makefile = (REPOSITORY / "Makefile").read_text()
    assert re.search(r"^demo: install\n\t.*sightsound demo$", makefile, flags=re.MULTILINE)
    assert re.search(r"^test: check\n\t.*-m pytest", makefile, flags=re.MULTILINE)
    assert "\nmake test\n" in (REPOSITORY / ".ci" / "run").read_text()


def test_links_lead_somewhere() -> None:
    for page in [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").glob("*.md")]:
        prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", prose):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
