"""Data Docs in Airflow: the pages in the bucket, at `/data-docs/`, for whoever is logged in to Airflow.

Airflow does not guard what a plugin mounts, so this app carries Airflow's own guard: a session that may see plugins.
The pages come from data, so they are served as inert: no scripts, nothing from other hosts, framed by Airflow alone.
Airflow loads this file in every process, tasks included; the app is made when the API server gets its first request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

from expectations.report import DATA_DOCS, INDEX_KEY

if TYPE_CHECKING:
    from fastapi import FastAPI
    from fastapi.responses import Response

    from marquee.lake.objects import Lake

URL = "/data-docs"
CONTENT_TYPE = "text/html; charset=utf-8"
HEADERS = {
    "Cache-Control": "private, no-cache",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


class LazyApp:
    """An ASGI app that is made at its first request."""

    def __init__(self, make: Callable[[], FastAPI]) -> None:
        self._make = make
        self._app: FastAPI | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._app is None:
            self._app = self._make()
        await self._app(scope, receive, send)


def connected_lake() -> Lake:
    """The lake of Airflow's connection."""
    from plugins.connections import lake

    return lake()


def application(lake: Callable[[], Lake] = connected_lake) -> FastAPI:
    """The app that serves Data Docs from the lake, guarded by Airflow's login."""
    from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
    from airflow.api_fastapi.core_api.security import requires_access_view
    from fastapi import Depends, FastAPI, Request
    from fastapi.exception_handlers import http_exception_handler
    from fastapi.exceptions import HTTPException
    from fastapi.responses import RedirectResponse

    guard = Depends(requires_access_view(AccessView.PLUGINS))
    app = FastAPI(title="Data Docs", dependencies=[guard], docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/{path:path}")
    def page(path: str) -> Response:
        return serve(lake, path)

    async def send_to_login(request: Request, error: Exception) -> Response:
        """A browser that is not logged in goes to Airflow's login, and comes back; a program gets the bare refusal."""
        if not isinstance(error, HTTPException):
            raise error
        # A cookie of another installation, or of one whose secret was renewed, is no login either.
        is_unknown = error.status_code == 401 or error.detail == "Invalid JWT token"
        if is_unknown and "text/html" in request.headers.get("accept", ""):
            return RedirectResponse(login_address(request), status_code=307)
        return await http_exception_handler(request, error)

    app.add_exception_handler(HTTPException, send_to_login)
    return app


def login_address(request: Any) -> str:
    """Airflow's login, which leads back to the page that was asked for; right behind a proxy's prefix too."""
    from urllib.parse import urlencode

    prefix = str(request.scope.get("root_path", "")).removesuffix(URL)
    return f"{prefix}/api/v2/auth/login?{urlencode({'next': str(request.url)})}"


def serve(lake: Callable[[], Lake], path: str) -> Response:
    """The page of a path, or a short one that says why there is none."""
    from fastapi.responses import HTMLResponse, Response

    from marquee.errors import MarqueeError

    key = key_of(path)
    try:
        body = None if key is None else read(lake(), key)
    except MarqueeError as error:
        return HTMLResponse(message(f"Data Docs can't be read. {error}"), status_code=502, headers=HEADERS)
    if body is not None:
        return Response(body, headers=HEADERS, media_type=CONTENT_TYPE)
    why = (
        "No Data Docs yet: the first validation writes them (run ingest_ratings)."
        if key == INDEX_KEY
        else "There is no such page in Data Docs."
    )
    return HTMLResponse(message(why), status_code=404, headers=HEADERS)


def key_of(path: str) -> str | None:
    """The key of the page that a path names; None where a path can't name one."""
    if path == "":
        return INDEX_KEY
    is_plain = path.isprintable() and "\\" not in path and path.endswith(".html")
    is_inside = not {"", ".", ".."}.intersection(path.split("/"))
    return f"{DATA_DOCS}/{path}" if is_plain and is_inside else None


def read(lake: Lake, key: str) -> bytes | None:
    """The object's bytes; None where there is none.

    Raises:
        LakeError: the object store refuses.
    """
    from botocore.exceptions import ClientError

    from marquee.lake.objects import lake_errors

    with lake_errors(f"read {lake.uri(key)}", lake):
        try:
            return bytes(lake.client().get_object(Bucket=lake.bucket, Key=key)["Body"].read())
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return None
            raise


def message(text: str) -> str:
    import html

    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="UTF-8"><title>Data Docs</title>'
        "<style>:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;margin:2rem}</style></head>"
        f"<body><h1>Data Docs</h1><p>{html.escape(text)}</p></body></html>"
    )


class DataDocsPlugin(AirflowPlugin):  # type: ignore[misc]
    """Mounts the pages, and puts them into Airflow's navigation."""

    name = "data_docs"
    fastapi_apps = [{"app": LazyApp(application), "url_prefix": URL, "name": "Data Docs"}]  # noqa: RUF012 - Airflow's way
    # Relative, so that it holds where Airflow has a prefix.
    external_views = [  # noqa: RUF012 - Airflow's way
        {
            "name": "Data Docs",
            "href": f"{URL.removeprefix('/')}/index.html",
            "destination": "nav",
            "url_route": "data-docs",
            "category": "browse",
        }
    ]
