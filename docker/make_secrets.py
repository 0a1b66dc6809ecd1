"""Makes docker/.env from .env.example, with a random value for every secret in it, readable by you alone.

python3 docker/make_secrets.py

An .env that is there keeps every value it has; a secret that it lacks, or has empty, is added.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
EMPTY = re.compile(r"^([A-Z0-9_]+)=[ \t]*$", re.MULTILINE)


def secret(name: str) -> str:
    """A random value; a Fernet key has its own format, 32 bytes in URL-safe base64 with its padding."""
    if name == "AIRFLOW_FERNET_KEY":
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    return secrets.token_hex(10).upper() if name.endswith("ACCESS_KEY") else secrets.token_urlsafe(32)


def filled(template: str, existing: str) -> str:
    """`existing` (else the template) with a value for each variable that the template leaves empty."""
    text = existing or template
    names = EMPTY.findall(template)
    there = re.findall(r"^([A-Z0-9_]+)=", text, re.MULTILINE)
    missing = "".join(f"{name}=\n" for name in names if name not in there)
    if missing and not text.endswith("\n"):
        text += "\n"
    return EMPTY.sub(lambda found: f"{found[1]}={secret(found[1])}" if found[1] in names else found[0], text + missing)


def main(folder: Path = FOLDER) -> None:
    target = folder / ".env"
    existing = target.read_text(encoding="utf-8") if target.exists() else ""
    text = filled((folder / ".env.example").read_text(encoding="utf-8"), existing)
    # mkstemp gives mode 0600 from the start; the rename leaves no half of a file
    descriptor, temporary = tempfile.mkstemp(prefix=".env.", dir=folder)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    Path(temporary).replace(target)
    print(f"{target} holds every secret and is yours alone to read.")


if __name__ == "__main__":
    main()
