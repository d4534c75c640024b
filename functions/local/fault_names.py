"""The names of `bridge sandbox --fault`. What they do is elsewhere: few commands need the sandbox."""

from collections.abc import Mapping
from enum import StrEnum


class FaultName(StrEnum):
    """A fault of the sandboxed vendors."""

    LOOKER_DOWN = "looker-down"
    LOOKER_KEY_REFUSED = "looker-key-refused"
    LOOKER_CUT = "looker-cut"
    LOOKER_ERROR_TEXT = "looker-error-text"
    PIGMENT_DOWN = "pigment-down"
    PIGMENT_KEY_REFUSED = "pigment-key-refused"
    PIGMENT_BUSY = "pigment-busy"
    PIGMENT_LOST_ANSWER = "pigment-lost-answer"
    PIGMENT_SKIPS = "pigment-skips"
    PIGMENT_IMPORT_FAILS = "pigment-import-fails"


MEANINGS: Mapping[FaultName, str] = {
    FaultName.LOOKER_DOWN: "Nothing answers at Looker's address.",
    FaultName.LOOKER_KEY_REFUSED: "Looker refuses the login.",
    FaultName.LOOKER_CUT: "Looker's answers with rows break off.",
    FaultName.LOOKER_ERROR_TEXT: "Looker's database fails after the first row, in an answer with status 200.",
    FaultName.PIGMENT_DOWN: "Nothing answers at Pigment's address.",
    FaultName.PIGMENT_KEY_REFUSED: "Pigment answers 401 to every key.",
    FaultName.PIGMENT_BUSY: "Pigment answers 429 to every file, and asks for two minutes.",
    FaultName.PIGMENT_LOST_ANSWER: "Pigment takes every file, but its answer is lost.",
    FaultName.PIGMENT_SKIPS: "Pigment skips a row of every file.",
    FaultName.PIGMENT_IMPORT_FAILS: "Pigment takes every file, but the import fails.",
}
"Each lasts as long as the sandbox runs."
