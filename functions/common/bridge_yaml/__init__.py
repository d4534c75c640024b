"""bridge.yaml: `decode` returns a `Bridge`. Its structs document each key."""

from common.bridge_yaml.cron import cron_problem as cron_problem
from common.bridge_yaml.decode import decode as decode
from common.bridge_yaml.model import *  # noqa: F403  # every struct of the file
from common.bridge_yaml.values import InvalidValue as InvalidValue
from common.bridge_yaml.values import parse_position as parse_position
