r"""Names that look the same and are not: where they differ, and how to write the one that exists.

A label in Looker can contain a no-break space, a zero-width sign or a decomposed accent, which no screen shows, and a
name in bridge.yaml can lose a blank at its end. YAML keeps all of them between double quotes, invisible ones as
escapes such as `\u00A0` (YAML 1.2, 5.7).
"""

import difflib
import unicodedata
from collections.abc import Iterator, Sequence

import msgspec

_MOST_DIFFERENCES = 3
_MOST_NAMES = 3
_LONGEST_NAME = 200
"No label is longer. A header can come from anybody, and comparing takes the square of the length."
_CONTEXT = 12
"How many characters before a difference are shown."

# Letters of other alphabets with the shape of a Latin one, dashes and quotation marks. What NFKD joins is not here.
_SHAPES = str.maketrans(
    "АВЕКМНОРСТУХІЈЅаеорсухіјѕΑΒΕΖΗΙΚΜΝΟΡΤΥΧο\u2010\u2011\u2012\u2013\u2014\u2015\u2212‘’‚ʼ“”„",  # these are meant
    "ABEKMHOPCTYXIJSaeopcyxijsABEZHIKMNOPTYXo" + "-" * 7 + "'" * 4 + '"' * 3,
)


class Lookalike(msgspec.Struct, frozen=True):
    """A name that does not exist, and one that does and looks the same."""

    written: str
    existing: str

    def difference(self) -> str:
        """Return a sentence that names each sign in which they differ, by its code."""
        both = f"{spelled(self.written)} looks like {spelled(self.existing)}, but"
        if self.written.casefold() == self.existing.casefold():
            return f"{both} they differ in upper and lower case."
        shown = [*_differences(self.written, self.existing)]
        more = [f"{len(shown) - _MOST_DIFFERENCES} more"] if len(shown) > _MOST_DIFFERENCES else []
        return f"{both} {'; '.join([*shown[:_MOST_DIFFERENCES], *more])}."


def of(written: Sequence[str], existing: Sequence[str]) -> list[Lookalike]:
    """Return the written names that do not exist, each with the name that looks the same and differs least."""
    lost = [name for name in written if name not in existing and len(name) <= _LONGEST_NAME]
    if not lost:
        return []
    by_shape: dict[str, list[str]] = {}
    for name in (each for each in existing if len(each) <= _LONGEST_NAME):
        by_shape.setdefault(_shape(name), []).append(name)
    return [Lookalike(name, _nearest(name, alike)) for name in lost if (alike := by_shape.get(_shape(name)))]


def differences(found: Sequence[Lookalike]) -> str:
    """Return a sentence for each, of many for the first; empty if there are none."""
    return " ".join(each.difference() for each in found[:_MOST_NAMES])


def advice(found: Sequence[Lookalike]) -> str:
    """Return how to write the names, as the rest of a sentence; empty if there are none."""
    return ", ".join(f"{spelled(each.existing)} for {spelled(each.written)}" for each in found[:_MOST_NAMES])


def spelled(name: str) -> str:
    """Return a name in double quotes as YAML reads it. Signs that cannot be seen, or only with the one before, are
    escapes.
    """
    return '"' + "".join(map(_escaped, name)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable() and not unicodedata.category(character).startswith("M"):
        return character
    code = ord(character)
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"  # noqa: PLR2004


def _shape(name: str) -> str:
    """Return what is left of a name on a screen, in one case."""
    visible = "".join(sign for sign in unicodedata.normalize("NFKD", name) if not _is_invisible(sign))
    folded = " ".join(visible.translate(_SHAPES).casefold().split())
    return unicodedata.normalize("NFKC", folded)


def _is_invisible(sign: str) -> bool:
    """Whether a sign has no width: joiners, marks of direction, soft hyphens, variation selectors."""
    return unicodedata.category(sign) == "Cf" or sign == "\u034f" or "\ufe00" <= sign <= "\ufe0f"


def _nearest(name: str, alike: Sequence[str]) -> str:
    return max(alike, key=lambda other: _compared(name, other).ratio())


def _compared(name: str, other: str) -> difflib.SequenceMatcher[str]:
    return difflib.SequenceMatcher(None, name, other, autojunk=False)


def _in_one_case(name: str) -> str:
    """Return a name with its positions, so that only other differences remain."""
    return "".join(lower if len(lower := sign.lower()) == 1 else sign for sign in name)


def _differences(written: str, existing: str) -> Iterator[str]:
    """Yield how the written name differs, as ends of a sentence about it."""
    for kind, start, end, begin, stop in _compared(_in_one_case(written), _in_one_case(existing)).get_opcodes():
        where = _place(written, start, end)
        ours, theirs = _named(written[start:end]), _named(existing[begin:stop])
        if kind == "replace":
            yield f"has {ours}{where} instead of {theirs}"
        elif kind == "delete":
            yield f"has one more {ours}{where}"
        elif kind == "insert":
            yield f"lacks {theirs}{where}"


def _place(name: str, start: int, end: int) -> str:
    if end == len(name):
        return " at the end"
    before = name[:start].split()
    return f" after `{before[-1][-_CONTEXT:]}`" if before else " at the beginning"


def _named(signs: str) -> str:
    """Return signs by their codes; a single one also by its name."""
    codes = " ".join(f"U+{ord(sign):04X}" for sign in signs)
    return f"{codes} ({unicodedata.name(signs, 'a control character').lower()})" if len(signs) == 1 else codes
