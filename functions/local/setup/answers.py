"""The answers to the questions of `bridge init` and `bridge add`, as far as flags give them."""

import dataclasses


@dataclasses.dataclass(repr=False)
class Answers:
    """What is empty or None is asked for. What a vendor refuses is emptied, and asked for again.

    Some are keys, so `repr` shows none.
    """

    looker_url: str = ""
    looker_client_id: str = ""
    looker_client_secret: str = ""
    pigment_url: str = ""
    pigment_key: str = ""
    webhook_token: str = ""
    look: str = ""
    application: str = ""
    block: str = ""
    configuration: str = ""
    view: str = ""
    repeatable: bool | None = None
    path: str = ""
    name: str = ""
