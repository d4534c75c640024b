"""The pinned requirements match pyproject.toml: with hashes, equal in both files, and no more."""

import importlib.metadata
import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DEPLOYED, WHOLE = ROOT / "functions" / "requirements.txt", ROOT / "tests" / "requirements.txt"
DEPENDENCIES = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = [Requirement(line) for lines in PROJECT["optional-dependencies"].values() for line in lines]

_PIN = re.compile(r"([a-z0-9-]+==[\w.!+]+(?: ; [^\\\n]+)?)(?: \\\n    --hash=sha256:[0-9a-f]{64})+\n")


def pins(text: str) -> dict[str, Requirement]:
    """Return the pins by name. Every line must be a comment or a pin with hashes; another index is a fault."""
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)
    assert _PIN.sub("", text) == ""
    found = [Requirement(pin) for pin in _PIN.findall(text)]
    names = [canonicalize_name(pin.name) for pin in found]
    assert sorted(set(names)) == names
    return dict(zip(names, found, strict=True))


def version_of(pin: Requirement) -> str:
    return str(pin.specifier).removeprefix("==")


def needed(wanted: Sequence[Requirement]) -> set[str]:
    """Return the names of these packages and of their dependencies on this machine."""
    return {name for name, _ in _closure(wanted, set())}


def _closure(wanted: Sequence[Requirement], seen: set[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for requirement in wanted:
        name = canonicalize_name(requirement.name)
        for extra in ("", *requirement.extras):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            yield name, extra
            every = (Requirement(line) for line in importlib.metadata.requires(name) or [])
            yield from _closure(
                [each for each in every if each.marker is None or each.marker.evaluate({"extra": extra})], seen
            )


@pytest.mark.parametrize("file", [DEPLOYED, WHOLE], ids=["functions", "tests"])
@pytest.mark.parametrize("dependency", DEPENDENCIES, ids=str)
def test_every_dependency_is_pinned_within_its_requirement(dependency: Requirement, file: Path) -> None:
    pin = pins(file.read_text(encoding="utf-8"))[canonicalize_name(dependency.name)]

    assert version_of(pin) in dependency.specifier


@pytest.mark.parametrize("extra", EXTRAS, ids=str)
def test_every_extra_is_pinned_for_the_tests(extra: Requirement) -> None:
    pin = pins(WHOLE.read_text(encoding="utf-8"))[canonicalize_name(extra.name)]

    assert version_of(pin) in extra.specifier


def test_both_files_name_the_same_versions() -> None:
    deployed, whole = (pins(file.read_text(encoding="utf-8")) for file in (DEPLOYED, WHOLE))

    assert {name: str(pin) for name, pin in whole.items() if name in deployed} == {
        name: str(pin) for name, pin in deployed.items()
    }


def test_the_functions_get_no_extras() -> None:
    pinned = pins(DEPLOYED.read_text(encoding="utf-8"))
    pinned_here = {name for name, pin in pinned.items() if pin.marker is None or pin.marker.evaluate()}

    assert pinned_here == needed(DEPENDENCIES)


def test_the_tests_use_the_deployed_versions() -> None:
    for name, pin in pins(DEPLOYED.read_text(encoding="utf-8")).items():
        if pin.marker is None or pin.marker.evaluate():
            assert importlib.metadata.version(name) == version_of(pin), name


@pytest.mark.parametrize(
    "line",
    [
        "--extra-index-url https://packages.example/simple\n",
        "requests @ https://packages.example/requests.whl\n",
        "requests>=2\n",
        "requests==2.34.2\n",
        "requests==2.34.2 \\\n    --hash=md5:d41d8cd98f00b204e9800998ecf8427e\n",
    ],
)
def test_an_address_or_a_pin_without_a_hash_is_detected(line: str) -> None:
    with pytest.raises(AssertionError):
        pins(DEPLOYED.read_text(encoding="utf-8") + line)
