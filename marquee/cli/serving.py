"""`marquee serve`: the published recommendations by HTTP."""

from __future__ import annotations

import os
import socket
from typing import Annotated

import typer
from rich.console import Console

from marquee.errors import ReleaseError, ServiceError
from marquee.settings import settings


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any free one.")] = 8090,
) -> None:
    """Answer look-ups by HTTP, read-only; /docs describes them. Ctrl+C ends it."""
    import uvicorn

    from marquee.recommendations import ReadingError, Recommendations
    from marquee.services.environment import environment
    from marquee.serving.http import create_app
    from marquee.serving.models import Models

    folder = settings().var / "serving"
    try:
        recommendations = Recommendations(folder)
    except ReadingError as error:
        raise ReleaseError(str(error)) from None
    ours = environment(settings())
    os.environ.update({name: value for name, value in ours.items() if name.startswith("MLFLOW_TRACKING_")})
    app = create_app(recommendations, Models(folder / "models"))
    with _listening(host, port) as listener:
        at = f"[{host}]" if ":" in host else host
        address = f"http://{at}:{listener.getsockname()[1]}"
        Console(highlight=False).print(
            f"{address} answers from {folder}; {address}/docs says what to ask", soft_wrap=True
        )
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
        server.run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ServiceError(
            f"Can't listen on port {port} of {host} ({error.strerror}): end what listens there, or give another --port."
        ) from None
