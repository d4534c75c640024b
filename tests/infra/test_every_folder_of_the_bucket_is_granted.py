"""Terraform grants a function access to every folder of the bucket that the code names."""

import re
from pathlib import Path

from common.storage import paths

IDENTITIES = Path(__file__).parents[2] / "infra" / "identities.tf"


def test_every_folder_in_the_code_is_granted_to_a_function() -> None:
    source = Path(paths.__file__).read_text()
    folders = set(re.findall(r'f?"([a-z]+/)[^"]*"', source)) | {"inbox/", "delivered/", "dead/"}
    granted = set(re.findall(r'"([a-z]+/)" += "(?:read|write)"', IDENTITIES.read_text()))

    assert {"config/", "kept/", "status/"} < folders
    assert folders == granted
