"""The items of a list in Pigment, by one of their properties."""

import random

from common import bridge_yaml
from common.pigment import exports
from common.pigment.exports import ExportAnswer
from common.platform.clock import Deadline
from common.platform.secrets import Secrets
from common.tables.known_values import Values, read_column


def export(
    source: bridge_yaml.KnownColumn,
    settings: bridge_yaml.PigmentSettings,
    secrets: Secrets,
    deadline: Deadline,
    chance: random.Random,
) -> Values:
    """Return the values that the items of a list have in a property, each once.

    Pigment exports every property: their technical names, by which a request can choose, end in six letters that nobody
    knows by heart. Raises as `exports.ask` does, and BlockNotFound if the list has no such property.
    """
    block = bridge_yaml.ListSource(list=source.list, friendly_headers=True)
    request = exports.request_for(block, "Iso8601")

    def read(answer: ExportAnswer) -> Values:
        is_proved = answer.proves_its_end
        return read_column(answer.blocks(), block.delimiter, source.property, request.what, proves_its_end=is_proved)

    return exports.ask(request, settings, secrets, deadline, chance, read)
