"""The commands in infra/README.md give each service account of a build exactly the roles that its table lists."""

import re

import pytest

from tests.support import documents

README = documents.INFRA.read_text(encoding="utf-8")
FOR_BOTH = {"logging.logWriter"}


def roles_of_the_table(account: str) -> set[str]:
    row = re.search(rf"^\| \w+ \(`{account}`\) \|(.*)\|$", README, re.MULTILINE)
    assert row
    return set(re.findall(r"`roles/([\w.]+)`(?! lacks)", row[1])) | FOR_BOTH


@pytest.mark.parametrize(("account", "variable"), [("bridge-plan", "PLANS"), ("bridge-deploy", "DEPLOYS")])
def test_the_commands_grant_what_the_table_lists(account: str, variable: str) -> None:
    given = re.search(rf'^    {variable}="([^"]*)"', README, re.MULTILINE)
    assert given

    assert set(given[1].split()) == roles_of_the_table(account)
    assert f'grant {account} "${variable}"' in README
