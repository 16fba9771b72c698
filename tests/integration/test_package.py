"""The Debian package as a file: what is in it, and that anybody can build the same."""

import hashlib
import json
import re
import subprocess
from pathlib import Path

import pytest

from package.build import LOCK, Target, build, install_environment, root_of, this_arch
from package.sbom import write_export_sbom

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


def test_a_wheel_with_another_hash_is_not_packed(tmp_path: Path) -> None:
    altered = tmp_path / "wheels.lock"
    altered.write_text(re.sub(r"(?m)^mdurl(.|\n\s)*", f"mdurl==0.1.2 --hash=sha256:{'0' * 64}\n",
                              LOCK.read_text(encoding="ascii")), encoding="ascii")  # fmt: skip
    with pytest.raises(subprocess.CalledProcessError):
        install_environment(Target(this_arch() or "amd64", "12"), tmp_path / "root", altered)
    assert not list((tmp_path / "root").rglob("mdurl"))


def test_two_builds_of_one_commit_are_the_same_bytes_and_say_what_is_in_them(
    tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1780000000")
    target = Target(this_arch() or "amd64", "12")
    hashes = []
    for _ in range(2):
        package = build(target, models, tmp_path)
        carried = subprocess.check_output(["dpkg-deb", "--contents", package], text=True)
        fields = subprocess.check_output(["dpkg-deb", "--field", package], text=True)
        hashes.append(hashlib.sha256(package.read_bytes()).hexdigest())
        package.unlink()
    assert hashes[0] == hashes[1]
    assert "Recommends: mosquitto\n" in fields
    for name in (
        *("doc/ostiary/copyright", "doc/ostiary/mqtt.md", "doc/ostiary/operations.md"),
        *("ostiary/mosquitto/local.conf", "ostiary/mosquitto/ostiary.acl"),
        "ostiary/home-assistant/automations.yaml",
    ):
        assert f"/usr/share/{name}\n" in carried, name
    sbom = root_of(target, tmp_path) / "usr/share/doc/ostiary/sbom.cdx.json"
    document = json.loads(sbom.read_text(encoding="utf-8"))
    assert document["bomFormat"] == "CycloneDX"
    names = {component["name"] for component in document["components"]}
    assert {"ostiary", "onnxruntime", "cryptography", "sface.onnx", "minifasnet_v2.onnx"} <= names
    assert not names & {"torch", "onnx", "dlib-bin", "face-recognition"}
    manifest = json.loads((models / "built.json").read_text(encoding="utf-8"))
    (sface,) = (each for each in document["components"] if each["name"] == "sface.onnx")
    assert sface["hashes"][0]["content"] == manifest["sface.onnx"]["sha256"]


def test_what_makes_the_models_is_listed_too(tmp_path: Path) -> None:
    written = tmp_path / "ostiary-export.cdx.json"
    write_export_sbom(written)
    document = json.loads(written.read_text(encoding="utf-8"))
    assert document["metadata"]["component"]["name"] == "ostiary-export"
    components = {each["name"]: each for each in document["components"]}
    assert {"ostiary-export", "torch", "onnx", "onnxruntime", "numpy", "sympy"} <= set(components)
    assert "pytest" not in components
    assert components["torch"]["purl"].startswith("pkg:pypi/torch@")
