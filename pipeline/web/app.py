"""The web application: JSON endpoints over both variants, and the page that calls them."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from threading import Lock
from typing import Annotated, Any, Literal, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from .. import __version__
from ..core.errors import HierrecError
from ..serving.find_items import NotFoundError
from ..serving.recommend import Recommender
from ..serving.rules import Rules

STATIC = Path(__file__).parent / "static"
HEADERS = {
    # Titles are foreign text: the page runs no script and loads no style but its own.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

Name = Annotated[str, Field(max_length=1000)]
Names = Annotated[list[Name], Field(max_length=10_000)]
Count = Annotated[int, Field(ge=1, le=1000)]


class RecommendRequest(BaseModel):
    """The body of POST /recommend: a user of the data or a history, and the rules of the answer."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    user: Name | None = None
    history: Names | None = None
    variant: Literal["hierarchical", "rag"] | None = None
    k: Annotated[int, Field(ge=1, le=1000, strict=True)] = 10
    why: StrictBool = False
    exclude: Names = []
    candidates: Names | None = None
    where: Name | None = None
    exclude_seen: StrictBool | None = None
    diversity: Annotated[float, Field(ge=0, le=1, strict=True, allow_inf_nan=False)] = 0.0

    @model_validator(mode="after")
    def _one(self) -> "RecommendRequest":
        if (self.user is None) == (self.history is None):
            raise ValueError("give either user or history")
        return self


def make_app(rag: Recommender, hosts: Sequence[str], model: str) -> FastAPI:
    """Return the application over a model of variant rag, the default, and its hierarchical variant.

    It answers under the names `hosts` only, so that a foreign page cannot reach a local server under a name of its own
    (DNS rebinding). /health gives the name of the `model`.
    """
    recommenders = {"rag": rag, "hierarchical": rag.sequence_model()}
    app = FastAPI(title="hierrec", version=__version__, docs_url=None, redoc_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))
    lock = Lock()  # one answer at a time: each uses all cores, and memory holds only one

    @app.middleware("http")
    async def _guard(request: Request, call_next: Any) -> Response:
        response = await call_next(request)
        response.headers.update(HEADERS)
        return response

    @app.exception_handler(HierrecError)
    def _refused(_: Request, error: HierrecError) -> JSONResponse:
        status = 404 if isinstance(error, NotFoundError) else 400
        return _error(status, error.what, error.where, error.remedy)

    @app.exception_handler(RequestValidationError)
    def _malformed(_: Request, error: RequestValidationError) -> JSONResponse:
        problem = error.errors()[0]
        where, what = ".".join(map(str, problem["loc"])), problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "json_invalid":
            return _error(422, f"not JSON: {problem['ctx']['error']}", where, "correct the JSON")
        if problem["type"] == "model_attributes_type":  # of text: without the header, JSON is read as text
            return _error(422, "not a JSON object", where, "send an object, with content-type: application/json")
        return _error(422, what, where, "correct the request")

    @app.exception_handler(HTTPException)
    def _unknown(request: Request, error: HTTPException) -> JSONResponse:
        paths = "GET /openapi.json lists the paths and their methods"
        remedy = paths if error.status_code in (404, 405) else "correct the request"
        where = f"{request.method} {request.url.path}"
        response = _error(error.status_code, str(error.detail), where, remedy)
        response.headers.update(error.headers or {})  # a 405 lists the methods
        return response

    @app.exception_handler(Exception)
    def _failed(_: Request, error: Exception) -> JSONResponse:
        remedy = "see the server's output, and report it"
        return _error(500, f"unforeseen error, {type(error).__name__}", None, remedy)

    @app.get("/health")
    @app.head("/health", include_in_schema=False)
    def health() -> dict[str, Any]:
        """Say that the server answers, and with which model and variants over how many items and users."""
        sizes = {"items": len(rag.item_ids), "users": len(rag.user_ids)}
        return {"status": "ok", "version": __version__, "model": model, "variants": list(recommenders), **sizes}

    @app.get("/items")
    def items(query: Name, k: Annotated[int, Field(ge=1, le=100)] = 10) -> dict[str, Any]:
        """Return the items whose titles contain the query, then items whose titles are spelt like it."""
        with lock:
            return {"items": rag.search_items(query, k)}

    @app.get("/users/{user_id:path}")
    def user(user_id: str) -> dict[str, Any]:
        """Return a user's history, oldest first."""
        with lock:
            found = rag.user(user_id)
        return {"user": found.user_id, "history": found.history}

    @app.get("/similar")
    def similar(item: Name, k: Count = 10) -> dict[str, Any]:
        """Return the items whose texts are most similar to an item's, best first."""
        with lock:
            asked = rag.item(item)
            return {"item": asked, "similar": rag.similar(asked.item_id, k)}

    @app.post("/recommend")
    def recommend(asked: RecommendRequest) -> dict[str, Any]:
        """Return the likeliest next items under the given rules, best first."""
        with lock:
            rules = cast(Rules, asked.model_dump(include=set(Rules.__annotations__)))
            recommender = recommenders[asked.variant or "rag"]
            return asdict(recommender.answer(asked.user, asked.history or (), asked.k, asked.why, **rules))

    # Not a mount, which would answer another method of a path above as an unknown path.
    app.router.default = StaticFiles(directory=STATIC, html=True)
    return app


def _error(status: int, what: str, where: str | None, remedy: str | None) -> JSONResponse:
    return JSONResponse({"error": {"what": what, "where": where, "remedy": remedy}}, status)
