"""Downloads from a real server on this computer: whole, cut, foreign, missing, unpacked, refused."""

import io
import tarfile
from pathlib import Path

import pytest

from sightsound.data import datasets
from sightsound.data.sources import SOURCES, DataSource, SourceOptions
from sightsound.downloads import YAMNET, fetched_path
from sightsound.errors import SourceError
from tests.originals import serve, write_mnist, write_speech_commands

Served = tuple[str, Path]


def fetch(name: str, mirror: str) -> list[str]:
    said: list[str] = []
    datasets.fetch(name, mirror, said.append)
    return said


@pytest.fixture
def mnist(server: Served, monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> str:
    write_mnist(server[1])
    serve(monkeypatch, "mnist", sorted(server[1].iterdir()))
    return server[0]


def test_fetched_files_are_built_from(mnist: str, own_cache: Path) -> None:
    said = fetch("mnist", mnist)
    assert len(said) == 4 and all("as it should be" in line for line in said)
    table = datasets.dataset("mnist")
    assert len(table.read_text().splitlines()) == 131 and table.is_relative_to(own_cache)
    before = table.stat().st_mtime_ns
    assert datasets.dataset("mnist").stat().st_mtime_ns == before


def test_a_cut_download_leaves_nothing_and_is_repeated(mnist: str, own_cache: Path) -> None:
    with pytest.raises(SourceError, match="broke off|differs"):
        fetch("mnist", f"{mnist}/cut")
    assert not [p for p in own_cache.rglob("*") if p.is_file()]
    for _ in range(3):  # the server cuts each of the other files once, too
        with pytest.raises(SourceError):
            fetch("mnist", f"{mnist}/cut")
    assert len(fetch("mnist", f"{mnist}/cut")) == 4


def test_a_page_in_place_of_the_file(mnist: str, own_cache: Path) -> None:
    with pytest.raises(SourceError, match=r"SHA-256 differs.*by hand, put it to .*fetched/mnist/train|t10k"):
        fetch("mnist", f"{mnist}/page")
    assert not [p for p in own_cache.rglob("*") if p.is_file()]


def test_a_server_that_does_not_have_it(mnist: str) -> None:
    with pytest.raises(SourceError, match=r"404.*by hand"):
        fetch("mnist", f"{mnist}/nowhere")


def test_no_network() -> None:
    with pytest.raises(SourceError, match=r"(?s)cannot be reached.*by hand, put it to"):
        fetch("mnist", "http://127.0.0.1:9")


def test_a_file_put_there_by_hand_is_taken(mnist: str, server: Served, own_cache: Path) -> None:
    folder = own_cache / "fetched" / "mnist"
    folder.mkdir(parents=True)
    for file in server[1].iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    assert len(fetch("mnist", "http://127.0.0.1:9")) == 4


def test_speech_commands_from_its_archive(
    server: Served, monkeypatch: pytest.MonkeyPatch, own_cache: Path, tmp_path: Path
) -> None:
    archive = write_speech_commands(tmp_path)
    (server[1] / archive.name).write_bytes(archive.read_bytes())
    serve(monkeypatch, "speech-commands", [archive])
    fetch("speech-commands", server[0])
    lines = datasets.dataset("speech-commands").read_text().splitlines()
    assert lines[0] == "audio,label,split,group" and len(lines) == 1 + 11 * 6
    assert sum(",test," in line for line in lines) == sum(",val," in line for line in lines) == 11
    assert not any("background" in line for line in lines)
    digits = datasets.dataset("speech-commands", SourceOptions(words="digits")).read_text()
    assert ",cat," not in digits and digits.count(",nine,") == 6
    assert ",00000003\n" in digits  # the speaker is the group


def climbing() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        entry = tarfile.TarInfo("../../outside.txt")
        entry.size = 4
        tar.addfile(entry, io.BytesIO(b"evil"))
    return content.getvalue()


@pytest.mark.parametrize("content", [climbing(), b"no archive at all"])
def test_archives_that_climb_out_or_are_none(
    server: Served, monkeypatch: pytest.MonkeyPatch, own_cache: Path, content: bytes
) -> None:
    archive = server[1] / "speech_commands_v0.02.tar.gz"
    archive.write_bytes(content)
    serve(monkeypatch, "speech-commands", [archive])
    with pytest.raises(SourceError, match="cannot be unpacked"):
        fetch("speech-commands", server[0])
    assert not list(own_cache.parent.rglob("outside.txt"))


def test_weights_are_shown_as_what_they_are(typed, own_cache: Path) -> None:
    said = typed("data", "show", "yamnet").out
    assert "the weights of the audio encoder yamnet" in said and "not here" in said and "built" not in said.lower()
    assert said.endswith("Fetch it: `sightsound data fetch yamnet`. Then --audio.encoder yamnet takes it.\n")
    file = fetched_path("yamnet", YAMNET)
    file.parent.mkdir(parents=True)
    file.touch()
    said = typed("data", "show", "yamnet").out
    assert "not here" not in said and said.endswith("\n--audio.encoder yamnet takes it.\n")


def test_every_source_is_whole() -> None:
    for name, known in SOURCES.items():
        assert isinstance(known, DataSource) and known.about and known.licence, name
        assert all(len(d.sha256) == 64 and d.url.startswith("http") for d in known.downloads), name
        assert set(known.parts) <= set(SOURCES), name
    with pytest.raises(SourceError, match="Did you mean 'mnist'"):
        datasets.dataset("minst")
    with pytest.raises(SourceError, match="nothing to fetch"):
        fetch("digits", "")


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("SIGHTSOUND_CACHE", str(tmp_path / "file"))
    with pytest.raises(SourceError, match="cannot be built.*SIGHTSOUND_CACHE=FOLDER"):
        datasets.dataset("digits")
