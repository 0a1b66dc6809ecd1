"""The endpoint: what the published file says, by HTTP, and lists for histories that a request brings.

Each answer comes from one release, which it names in `release_id` and, where it may be kept by a client, in its ETag.
Nobody logs in: put it behind what your applications share.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from marquee import __version__
from marquee.errors import MarqueeError
from marquee.recommendations import ReadingError, Recommendations, Release
from marquee.serving import answers
from marquee.serving.answers import MAX_K
from marquee.serving.models import Models

# A client may keep an answer, and asks each time whether it is still that of the current release (304).
PERSONAL, COMMON, NEVER = "private, no-cache", "public, no-cache", "no-store"

K = Annotated[int, Query(ge=1, le=MAX_K, description="items at most; there may be fewer")]
Id = Annotated[str, Path(max_length=1000)]
Scope = Annotated[str, Query(max_length=1000, description="overall, genre:NAME, or recent")]

UNREADABLE: dict[int | str, dict[str, Any]] = {503: {"model": answers.Problem, "description": "nothing to read from"}}
KEPT: dict[int | str, dict[str, Any]] = {**UNREADABLE, 304: {"description": "what the client has is still so"}}
UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"model": answers.Problem, "description": "no such item"}}
WRONG: dict[int | str, dict[str, Any]] = {422: {"model": answers.Problem, "description": "the request is wrong"}}


class NotFoundError(Exception):
    """There is no such thing in the release."""


def create_app(recommendations: Recommendations, models: Models) -> FastAPI:
    """The application.

    Args:
        recommendations: what look-ups are answered from.
        models: gives the model of a release, for histories.
    """
    app = FastAPI(
        title="Marquee",
        version=__version__,
        summary="Published recommendations, read-only.",
        description=__doc__ or "",
        responses={**WRONG},
    )
    app.state.recommendations = recommendations
    app.state.models = models
    app.add_exception_handler(RequestValidationError, _wrong)
    app.add_exception_handler(NotFoundError, _not_found)
    app.add_exception_handler(404, _no_such_address)
    app.add_exception_handler(ReadingError, _unavailable)
    app.add_exception_handler(MarqueeError, _unavailable)
    _add_lookups(app)
    _add_the_rest(app)
    return app


def _recommendations(request: Request) -> Recommendations:
    return request.app.state.recommendations  # type: ignore[no-any-return]


def _models(request: Request) -> Models:
    return request.app.state.models  # type: ignore[no-any-return]


Source = Annotated[Recommendations, Depends(_recommendations)]
ModelSource = Annotated[Models, Depends(_models)]


def _add_lookups(app: FastAPI) -> None:
    """What a client may keep: it asks again with If-None-Match, and gets 304 while the release is the same."""

    @app.get("/users/{user_id}/recommendations", response_model=answers.UserList, responses=KEPT)
    def user_list(user_id: Id, request: Request, response: Response, source: Source, k: K = 10) -> Any:
        """The user's list; popular items, with that source, for a user whom the release does not know."""
        with source.held() as release:
            if _is_kept(request, response, release, PERSONAL):
                return _unchanged(response)
            return {
                "release_id": release.id,
                "user_id": user_id,
                "recommendations": release.for_user(user_id, k),
            }

    @app.get("/items/{item_id}/similar", response_model=answers.SimilarList, responses={**KEPT, **UNKNOWN})
    def similar(item_id: Id, request: Request, response: Response, source: Source, k: K = 10) -> Any:
        """The items most like this one."""
        with source.held() as release:
            if _is_kept(request, response, release, COMMON):
                return _unchanged(response)
            found = release.similar(item_id, k)
            if not found and not release.has_item(item_id):
                raise NotFoundError(f"Release {release.id} has no item {item_id!r}: take an id from its table items.")
            return {"release_id": release.id, "item_id": item_id, "items": found}

    @app.get("/popular", response_model=answers.PopularList, responses=KEPT)
    def popular(request: Request, response: Response, source: Source, k: K = 10, scope: Scope = "overall") -> Any:
        """What is popular: overall (what users get whom the model does not know), of a genre, or lately."""
        with source.held() as release:
            if _is_kept(request, response, release, COMMON):
                return _unchanged(response)
            return {"release_id": release.id, "scope": scope, "items": release.popular(k, scope)}

    @app.get("/release", response_model=answers.About, responses=KEPT)
    def about(request: Request, response: Response, source: Source) -> Any:
        """The release that is current, and where it comes from."""
        with source.held() as release:
            if _is_kept(request, response, release, COMMON):
                return _unchanged(response)
            return release.about()


def _add_the_rest(app: FastAPI) -> None:
    @app.post("/recommendations", response_model=answers.HistoryList, responses=UNREADABLE)
    def for_history(history: answers.History, response: Response, source: Source, models: ModelSource) -> Any:
        """A list for somebody with this history, by fold-in: the release's model as it is, and no training."""
        response.headers["Cache-Control"] = NEVER
        with source.held() as release:
            about = release.about()
        model = models.of(about["model_name"], about["model_version"])
        recommended, unknown = model.recommend(history.items, history.ratings, history.k)
        return {"release_id": about["release_id"], "unknown_items": unknown, "recommendations": recommended}

    @app.get("/health", response_model=answers.Health, responses=UNREADABLE)
    def health(response: Response, source: Source) -> Any:
        """Whether look-ups are answered."""
        response.headers["Cache-Control"] = NEVER
        return {"status": "ok", "release_id": source.release}


def _is_kept(request: Request, response: Response, release: Release, caching: str) -> bool:
    """Whether what the client has is of this release; sets the headers of either answer."""
    tag = f'"{release.id}-{release.mark}"'
    response.headers["ETag"] = tag
    response.headers["Cache-Control"] = caching
    asked = request.headers.get("if-none-match", "")
    return asked.strip() == "*" or tag in [each.strip().removeprefix("W/") for each in asked.split(",")]


def _unchanged(response: Response) -> Response:
    kept = {name: response.headers[name] for name in ("ETag", "Cache-Control")}
    return Response(status_code=304, headers=kept)


def _problem(status: int, sentence: str) -> JSONResponse:
    return JSONResponse({"detail": sentence}, status_code=status, headers={"Cache-Control": NEVER})


def _wrong(_: Request, error: Exception) -> JSONResponse:
    """Each mistake as a part of one sentence; what was sent is not said again, for it may be long or personal."""
    assert isinstance(error, RequestValidationError)  # noqa: S101
    parts = []
    for each in error.errors():
        where = ".".join(str(part) for part in each["loc"][1:]) or "the request"
        parts.append(f"{where}: {each['msg'][:1].lower()}{each['msg'][1:]}")
    return _problem(422, f"The request is wrong ({'; '.join(parts)}): mend it; /docs says what is asked.")


def _not_found(_: Request, error: Exception) -> JSONResponse:
    return _problem(404, str(error))


def _no_such_address(request: Request, _: Exception) -> JSONResponse:
    return _problem(404, f"There is nothing at {request.url.path}: /docs lists what there is.")


def _unavailable(_: Request, error: Exception) -> JSONResponse:
    return _problem(503, str(error))
