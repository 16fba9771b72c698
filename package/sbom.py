"""Lists what the package carries, and what makes its models, as CycloneDX documents: each Python
distribution, and the models."""

import json
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path

from cyclonedx.factory.license import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement

from ostiary import __version__
from ostiary.vision.models import INSTALLED, MANIFEST


def write_sbom(packages: Path, target: Path) -> None:
    """Describe the distributions in `packages` and the models of the layout that `target` is in."""
    root = target.parents[4]
    components = [*_distributions(packages), *_models(root / INSTALLED.relative_to("/"))]
    _write("ostiary", components, target)


def write_export_sbom(target: Path) -> None:
    """Describe `ostiary-export` with all its dependencies, as installed where this runs."""
    needed: dict[str, Distribution] = {}
    waiting = ["ostiary-export"]
    while waiting:
        name = waiting.pop()
        try:
            found = distribution(name)
        except PackageNotFoundError:  # wanted on other systems only
            continue
        if found.name in needed:
            continue
        needed[found.name] = found
        wanted = [Requirement(text) for text in found.requires or ()]
        waiting += [
            each.name
            for each in wanted
            if each.marker is None or each.marker.evaluate({"extra": ""})
        ]
    _write("ostiary-export", [_component(needed[name]) for name in sorted(needed)], target)


def _write(name: str, components: Iterable[Component], target: Path) -> None:
    bom = Bom(components=components)
    bom.metadata.component = Component(
        name=name, version=__version__, type=ComponentType.APPLICATION, bom_ref=name
    )
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    # A random number and the moment of writing: two builds of a commit are to be the same bytes.
    document.pop("serialNumber", None)
    document["metadata"].pop("timestamp", None)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _distributions(packages: Path) -> Iterable[Component]:
    found = sorted(distributions(path=[str(packages)]), key=lambda each: each.name.lower())
    return [_component(each) for each in found]


def _component(each: Distribution) -> Component:
    name = each.name.lower().replace("_", "-")
    url = PackageURL("pypi", name=name, version=each.version)
    said = each.metadata["License-Expression"] or each.metadata["License"]
    licences = [LicenseFactory().make_from_string(said)] if said and len(said) < 100 else []
    return Component(
        name=name,
        version=each.version,
        type=ComponentType.LIBRARY,
        purl=url,
        bom_ref=str(url),
        licenses=licences,
    )


def _models(folder: Path) -> Iterable[Component]:
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return [
        Component(
            name=name,
            version=entry["code"],
            type=ComponentType.MACHINE_LEARNING_MODEL,
            bom_ref=f"model:{name}",
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=entry["sha256"])],
        )
        for name, entry in sorted(manifest.items())
        if (folder / name).is_file()
    ]
