"""A token in front of a site. Without it, every program and user of this machine could call the site's port."""

import hmac

from local.sandbox.wire import Request, Response, Site


class TokenRequired:
    """A site that answers only requests with `Authorization: Bearer TOKEN`."""

    def __init__(self, site: Site, token: str) -> None:
        self._site = site
        self._expected = f"Bearer {token}".encode()

    def answer(self, request: Request) -> Response:
        given = request.headers.get("Authorization", "")
        if hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._expected):
            return self._site.answer(request)
        # In the form of Google's APIs, whose clients read it.
        error = {"code": 401, "status": "UNAUTHENTICATED", "message": "The request does not have this server's token."}
        return Response.of_json({"error": error}, 401, **{"WWW-Authenticate": "Bearer"})
