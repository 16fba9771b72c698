"""Brings the published weights to this machine, from a mirror folder or the web.

A file is taken only when its SHA-256 is the catalogue's, and appears at its place whole or not
at all. An air-gapped site puts the files into one folder and names it in OSTIARY_MODEL_MIRROR.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from rich.progress import Progress

from ostiary_export.catalogue import Catalogue, Source
from ostiary_export.errors import HashMismatch, SourceInvalid, SourceUnreachable
from ostiary_export.files import sha256_of, written_whole

MIRROR_VARIABLE = "OSTIARY_MODEL_MIRROR"
_TIMEOUT_S = 20.0
_PORTRAIT_LIMIT_BYTES = 10 * 1024 * 1024


def fetch(
    catalogue: Catalogue, source_name: str, folder: Path, progress: Progress | None = None
) -> Path:
    """The source's file, verified, in `folder` (a package's file stays in its package).

    Raises HashMismatch (both hashes named), or SourceUnreachable (everything tried is named).
    """
    source = catalogue.sources[source_name]
    if source.kind == "package":
        return _packaged(source)
    target = folder / source.file
    if target.is_file() and sha256_of(target) == source.sha256:
        return target
    tried: list[str] = []
    mirror = os.environ.get(MIRROR_VARIABLE)
    if mirror:
        candidate = Path(mirror) / source.file
        if candidate.is_file():
            with written_whole(target) as temporary:
                shutil.copyfile(candidate, temporary)
                check_hash(temporary, source, candidate)
            return target
        tried.append(f"the folder {mirror} ({MIRROR_VARIABLE})")
    else:
        tried.append(f"no mirror folder ({MIRROR_VARIABLE} is not set)")
    if source.kind == "sdist":
        return _through_pip(source, target, tried)
    return _from_web(source, target, tried, progress)


def fetch_portraits(catalogue: Catalogue, sources: Path, folder: Path) -> Path:
    """The portraits of the source distribution as JPEG files in `folder`."""
    archive = fetch(catalogue, "portraits", sources)
    return _unpacked(archive, folder, _is_portrait, levels=1)


def fetch_faces(
    catalogue: Catalogue, sources: Path, folder: Path, progress: Progress | None = None
) -> Path:
    """LFW as JPEG files in `folder`, one sub-folder a person."""
    archive = fetch(catalogue, "lfw", sources, progress)
    return _unpacked(archive, folder, _is_face, levels=2)


def _unpacked(
    archive: Path, folder: Path, wanted: Callable[[tarfile.TarInfo], bool], levels: int
) -> Path:
    """The wanted files, each under the last `levels` parts of its name. Raises SourceInvalid."""
    with tarfile.open(archive) as tar:
        members = [member for member in tar.getmembers() if wanted(member)]
        if not members:
            raise SourceInvalid(f"{archive}: holds none of the expected pictures.")
        for member in members:
            target = folder.joinpath(*PurePosixPath(member.name).parts[-levels:])
            if target.is_file() and target.stat().st_size == member.size:
                continue
            content = tar.extractfile(member)
            assert content is not None  # only regular files are wanted
            with written_whole(target) as temporary, temporary.open("wb") as file:
                shutil.copyfileobj(content, file)
    return folder


def check_hash(path: Path, source: Source, where: object) -> None:
    """Raise HashMismatch unless `path`, which came from `where`, is the catalogue's file."""
    found = sha256_of(path)
    if found != source.sha256:
        raise HashMismatch(
            f"{where}: not {source.file}: its SHA-256 is {found}, expected {source.sha256}. "
            "Nothing was written."
        )


def _is_portrait(member: tarfile.TarInfo) -> bool:
    # Only the file's own name is used later, so no member can lead out of the folder.
    path = PurePosixPath(member.name)
    return (
        member.isreg()
        and not path.is_absolute()
        and path.parts[1:-1] == ("tests", "test_images")
        and path.suffix == ".jpg"
        and member.size <= _PORTRAIT_LIMIT_BYTES
    )


def _is_face(member: tarfile.TarInfo) -> bool:
    path = PurePosixPath(member.name)
    return (
        member.isreg()
        and not path.is_absolute()
        and len(path.parts) == 3
        and ".." not in path.parts
        and path.suffix == ".jpg"
        and member.size <= _PORTRAIT_LIMIT_BYTES
    )


def _packaged(source: Source) -> Path:
    # Found without importing: the package's own __init__ needs pkg_resources.
    spec = importlib.util.find_spec(source.package)
    for root in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(root) / source.file
        if path.is_file():
            check_hash(path, source, path)
            return path
    raise _unreachable(source, [f"the Python package {source.package} (not installed)"])


def _from_web(source: Source, target: Path, tried: list[str], progress: Progress | None) -> Path:
    for url in source.urls:
        try:
            with (
                written_whole(target) as temporary,
                urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response,
                temporary.open("wb") as file,
            ):
                size = int(response.headers.get("Content-Length") or 0)
                task = progress.add_task(source.file, total=size or None) if progress else None
                while chunk := response.read(1 << 16):
                    file.write(chunk)
                    if progress and task is not None:
                        progress.update(task, advance=len(chunk))
                file.flush()
                check_hash(temporary, source, url)
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            tried.append(f"{url} ({getattr(error, 'reason', error)})")
        else:
            return target
    raise _unreachable(source, tried)


def _through_pip(source: Source, target: Path, tried: list[str]) -> Path:
    # A requirements file with a hash makes pip verify the archive before it runs anything of it.
    wanted = f"{source.package}=={source.version}"
    with tempfile.TemporaryDirectory() as folder:
        requirement = Path(folder) / "requirements.txt"
        requirement.write_text(f"{wanted} --hash=sha256:{source.sha256}\n")
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-build-isolation"]
        command += ["--no-binary", ":all:", "--quiet", "--dest", folder, "-r", str(requirement)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        archive = Path(folder) / source.file
        # The archive counts, not pip's exit status: reading its metadata may fail, needlessly.
        if not archive.is_file():
            complaint = (done.stderr.strip().splitlines() or ["no output"])[-1]
            raise _unreachable(source, [*tried, f"pip download {wanted} ({complaint})"])
        with written_whole(target) as temporary:
            shutil.copyfile(archive, temporary)
            check_hash(temporary, source, f"pip download {wanted}")
    return target


def _unreachable(source: Source, tried: list[str]) -> SourceUnreachable:
    return SourceUnreachable(
        f"{source.file} (SHA-256 {source.sha256}) could not be had. Tried: {'; '.join(tried)}. "
        f"Put the file into a folder and name that folder in {MIRROR_VARIABLE}."
    )
