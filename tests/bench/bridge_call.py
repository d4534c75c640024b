"""A contender: the deployed function behind functions-framework, called once in a new process."""

import sys
from pathlib import Path

import functions_framework

_FUNCTIONS = Path(__file__).parents[2] / "functions"


def main(function: str, job: str) -> None:
    app = functions_framework.create_app(function, str(_FUNCTIONS / f"{function}.py"), "http")
    answer = app.test_client().post("/", json={"job": job})
    sys.stdout.write(answer.get_data(as_text=True))


main(*sys.argv[1:])
