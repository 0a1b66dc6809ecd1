"""Locating sources: paths, file URLs, downloads from a real server on loopback, and their refusals."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import logging
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from marquee.errors import LakeError, SourceError
from marquee.lake.objects import Lake
from marquee.lake.raw import open_member, stage
from marquee.sources import Located, locate, recognise
from marquee.sources.bucket import path_below

RATINGS = b"userId,movieId,rating,timestamp\n1,10,4.0,100\n"
SHA256 = hashlib.sha256(RATINGS).hexdigest()


@dataclass
class Site:
    """A web server: its address, the folder it serves, the paths that were asked, and what it does to them."""

    url: str
    folder: Path
    asked: list[tuple[str, int]] = field(default_factory=list)
    cut_at: int | None = None
    status: int | None = None


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files with Last-Modified (Python's own handler), or fails as the test wants."""

    def __init__(self, *arguments: object, site: Site, **named: object) -> None:
        self.site = site
        super().__init__(*arguments, directory=str(site.folder), **named)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        if self.site.status:
            self.send_error(self.site.status)
        elif self.path.startswith("/moved/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/moved"))
            self.end_headers()
        elif self.site.cut_at is not None:
            body = (self.site.folder / self.path.lstrip("/")).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: self.site.cut_at])
            self.close_connection = True
        else:
            super().do_GET()

    def log_request(self, code: object = "-", size: object = "-") -> None:
        self.site.asked.append((self.path, int(getattr(code, "value", code))))  # type: ignore[call-overload]

    def log_message(self, *arguments: object) -> None:
        """Nothing on the test's screen."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "ratings.csv").write_bytes(RATINGS)
    made = Site("", folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, site=made))
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my ratings.csv"
    path.write_bytes(RATINGS)
    return path


def leftovers(cache: Path) -> list[str]:
    return [path.name for path in cache.rglob("*.part")]


def test_a_path_stays_where_it_is(file: Path, cache: Path) -> None:
    assert locate(str(file), cache) == Located(str(file), file, "file")
    assert not cache.exists()


def test_a_relative_path_and_a_home_are_found(file: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    monkeypatch.setenv("HOME", str(file.parent))
    assert locate(file.name, cache).path == file
    assert locate(f"~/{file.name}", cache).path == file


def test_a_file_url_is_a_path(file: Path, cache: Path) -> None:
    assert locate(file.as_uri(), cache).path == file
    assert locate(f"file://localhost{file.as_uri().removeprefix('file://')}", cache).path == file


def test_a_folder_is_a_folder_even_by_dots(file: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    assert locate(".", cache) == Located(".", file.parent, "folder")
    assert locate(".", cache).name == file.parent.name


def test_a_link_keeps_its_own_name(file: Path, cache: Path, tmp_path: Path) -> None:
    link = tmp_path / "ratings.csv"
    link.symlink_to(file)
    assert locate(str(link), cache).name == "ratings.csv"


def test_archives_are_told_by_name_or_by_bytes(file: Path, cache: Path, tmp_path: Path) -> None:
    for kind in ("zip", "tar", "gztar", "xztar"):
        packed = shutil.make_archive(str(tmp_path / kind), kind, file.parent, file.name)
        assert locate(packed, cache).kind == "archive"
    for kind in ("zip", "tar"):
        unnamed = Path(shutil.copy(tmp_path / f"{kind}.{kind}", tmp_path / f"{kind}-of-no-ending"))
        assert locate(str(unnamed), cache).kind == "archive"


def test_a_right_sum_passes_in_either_case(file: Path, cache: Path) -> None:
    assert locate(str(file), cache, sha256=SHA256.upper()).path == file


def test_a_download_is_kept_and_asked_for_again_only_if_it_changed(site: Site, cache: Path) -> None:
    url = f"{site.url}/ratings.csv"
    first = locate(url, cache)
    assert (first.path.read_bytes(), first.name, first.kind, first.source) == (RATINGS, "ratings.csv", "file", url)
    assert locate(url, cache) == first
    changed = RATINGS + b"2,10,3.0,200\n"
    (site.folder / "ratings.csv").write_bytes(changed)
    os.utime(site.folder / "ratings.csv", (2_000_000_000, 2_000_000_000))
    assert locate(url, cache).path.read_bytes() == changed
    assert [status for _, status in site.asked] == [200, 304, 200]
    assert leftovers(cache) == []


def test_a_download_of_a_known_sum_needs_no_network_again(site: Site, cache: Path) -> None:
    first = locate(f"{site.url}/ratings.csv", cache, sha256=SHA256)
    assert locate("http://127.0.0.1:9/elsewhere.csv", cache, sha256=SHA256).path == first.path
    assert len(site.asked) == 1


def test_a_kept_file_that_was_changed_is_downloaded_again(site: Site, cache: Path) -> None:
    first = locate(f"{site.url}/ratings.csv", cache, sha256=SHA256)
    first.path.write_bytes(b"torn")
    assert locate(f"{site.url}/ratings.csv", cache, sha256=SHA256).path.read_bytes() == RATINGS
    assert [status for _, status in site.asked] == [200, 200]


def test_a_wrong_sum_gives_both_and_keeps_nothing(site: Site, file: Path, cache: Path) -> None:
    wrong = "0" * 64
    for source in (f"{site.url}/ratings.csv", str(file)):
        with pytest.raises(SourceError, match=f"expected {wrong}, found {SHA256}") as caught:
            locate(source, cache, sha256=wrong)
        assert not caught.value.is_transient
    assert [path.name for path in cache.rglob("*") if path.is_file()] == []


def test_redirects_are_followed_and_the_first_address_is_remembered(site: Site, cache: Path) -> None:
    located = locate(f"{site.url}/moved/ratings.csv", cache)
    assert located.path.read_bytes() == RATINGS
    assert located.source == f"{site.url}/moved/ratings.csv"


def test_progress_counts_up_to_the_size(site: Site, cache: Path) -> None:
    (site.folder / "big.csv").write_bytes(bytes(3_000_000))
    seen: list[tuple[int, int | None]] = []
    locate(f"{site.url}/big.csv", cache, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (3_000_000, 3_000_000)
    assert seen == sorted(seen)


def test_secrets_of_a_url_go_nowhere(site: Site, cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    address = site.url.removeprefix("http://")
    secret_url = f"http://anna:pass-word@{address}/ratings.csv?signature=se-cret#frag-ment"
    with caplog.at_level(logging.INFO):
        located = locate(secret_url, cache)
        with pytest.raises(SourceError) as missing:
            locate(secret_url.replace("ratings.csv", "none.csv"), cache)
        with pytest.raises(SourceError) as wrong:
            locate(secret_url, cache, sha256="0" * 64)
    kept = "".join(path.read_text() for path in cache.rglob("*.json")) + "".join(map(str, cache.rglob("*")))
    everything = f"{located} {missing.value} {wrong.value} {caplog.text} {kept}"
    assert located.source == f"{site.url}/ratings.csv"
    for secret in ("anna", "pass-word", "se-cret", "frag-ment"):
        assert secret not in everything


@pytest.mark.parametrize(
    ("status", "is_transient", "words"),
    [(404, False, "HTTP 404"), (403, False, "needs a login"), (503, True, "HTTP 503"), (429, True, "HTTP 429")],
)
def test_a_refusing_server(site: Site, cache: Path, status: int, is_transient: bool, words: str) -> None:
    site.status = status
    with pytest.raises(SourceError, match=words) as caught:
        locate(f"{site.url}/ratings.csv", cache)
    assert caught.value.is_transient == is_transient
    assert leftovers(cache) == []


def test_a_cut_connection_is_transient_and_leaves_nothing(site: Site, cache: Path) -> None:
    (site.folder / "big.csv").write_bytes(bytes(500_000))
    site.cut_at = 100_000
    with pytest.raises(SourceError, match="network or the server fails") as caught:
        locate(f"{site.url}/big.csv", cache)
    assert caught.value.is_transient
    assert [path.name for path in cache.rglob("*") if path.is_file()] == []
    site.cut_at = None
    assert locate(f"{site.url}/big.csv", cache).path.stat().st_size == 500_000


@pytest.mark.parametrize("host", ["127.0.0.1:9", "no-such-host.invalid"])
def test_no_network_is_transient(cache: Path, host: str) -> None:
    with pytest.raises(SourceError, match="check the connection, or name a local file") as caught:
        locate(f"http://{host}/ratings.zip", cache)
    assert caught.value.is_transient


def test_a_web_page_is_no_data(site: Site, cache: Path) -> None:
    (site.folder / "ratings.csv").write_bytes(b"\n<!DOCTYPE html><html>Log in</html>")
    with pytest.raises(SourceError, match="answers with a web page"):
        locate(f"{site.url}/ratings.csv", cache)


def test_an_empty_download_is_refused(site: Site, cache: Path) -> None:
    (site.folder / "ratings.csv").write_bytes(b"")
    with pytest.raises(SourceError, match="0 bytes"):
        locate(f"{site.url}/ratings.csv", cache)


def test_a_killed_download_is_cleared_away_a_day_later(site: Site, cache: Path) -> None:
    located = locate(f"{site.url}/ratings.csv", cache)
    for name, age in (("old.part", 1_000_000_000), ("young.part", None)):
        (located.path.parent / name).write_bytes(b"half")
        if age:
            os.utime(located.path.parent / name, (age, age))
    locate(f"{site.url}/ratings.csv", cache)
    assert leftovers(cache) == ["young.part"]


def test_a_server_names_its_file(cache: Path) -> None:
    """A raw socket, since the header is what is tested: no path in it may lead out of the cache."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n"
                    b'Content-Disposition: attachment; filename="../../../evil.csv"\r\n\r\n%s' % (len(RATINGS), RATINGS)
                )

        thread = threading.Thread(target=answer)
        thread.start()
        located = locate(f"http://127.0.0.1:{server.getsockname()[1]}/get?id=3", cache)
        thread.join()
    assert located.name == "evil.csv"
    assert located.path.is_relative_to(cache)
    assert json.loads((located.path.parent / "origin.json").read_text())["sha256"] == SHA256


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("", "No source is given"),
        ("   ", "No source is given"),
        ("/no/such/ratings.csv", "does not exist"),
        ("no-such.csv", "relative paths start at"),
        ("/dev/null", "neither a file nor a folder"),
        ("s3:bucket/key.csv", "no address in a bucket"),
        ("s3://", "no address in a bucket"),
        ("s3:///key.csv", "no address in a bucket"),
        ("ftp://host/key.csv", "scheme that Marquee does not read"),
        ("file://elsewhere/ratings.csv", "names another machine"),
        ("http://[::1/ratings.csv", "no URL that can be read"),
        ("http://", "can't be downloaded|no URL"),
        ("a\0b.csv", "can't be printed"),
        ("file:///a%00b.csv", "can't be printed"),
        ("~no-such-user-here/ratings.csv", "home of a user who does not exist"),
        ("x" * 5000, "can't be opened"),
    ],
)
def test_what_can_not_be_located_says_why(cache: Path, source: str, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        locate(source, cache)


def test_an_empty_file_is_refused(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "ratings.csv").touch()
    with pytest.raises(SourceError, match=r"ratings\.csv is empty \(0 bytes\)"):
        locate(str(tmp_path / "ratings.csv"), cache)


def test_a_sum_has_to_be_one_and_of_a_file(file: Path, cache: Path) -> None:
    with pytest.raises(SourceError, match="is no sha256"):
        locate(str(file), cache, sha256="abc")
    with pytest.raises(SourceError, match="sha256 is that of one file"):
        locate(str(file.parent), cache, sha256=SHA256)


def test_a_cache_that_is_a_file_is_named(site: Site, file: Path) -> None:
    with pytest.raises(SourceError, match=r"my ratings\.csv"):
        locate(f"{site.url}/ratings.csv", file)


def put(lake: Lake, **contents: bytes) -> None:
    """Objects by their keys: `__` stands for a slash, `_csv` for the ending."""
    for name, content in contents.items():
        key = name.replace("__", "/").replace("_csv", ".csv").replace("_zip", ".zip")
        lake.client().put_object(Bucket=lake.bucket, Key=key, Body=content)


def located_in(lake: Lake, key: str, cache: Path, **options: Any) -> Located:
    return locate(f"s3://{lake.bucket}/{key}", cache, lake=lambda: lake, **options)


def test_an_object_is_a_file(fresh_lake: Lake, cache: Path) -> None:
    put(fresh_lake, data__ratings_csv=RATINGS, data__ratings_csv2=b"other")
    located = located_in(fresh_lake, "data/ratings.csv", cache)
    assert (located.kind, located.name, located.source) == (
        "file",
        "ratings.csv",
        f"s3://{fresh_lake.bucket}/data/ratings.csv",
    )
    assert located.path.read_bytes() == RATINGS
    manifest = stage(fresh_lake, recognise(located), "2026-11-23T10:00:00+00:00")
    with open_member(fresh_lake, manifest, manifest.members[0]) as stream:
        assert stream.read() == RATINGS


def test_a_prefix_is_a_folder(fresh_lake: Lake, cache: Path) -> None:
    put(fresh_lake, out__part_0_csv=RATINGS, out__sub__part_1_csv=RATINGS, out__=b"", outer__x_csv=b"x", out__EMPTY=b"")
    for key in ("out", "out/"):
        located = located_in(fresh_lake, key, cache)
        assert (located.kind, located.name) == ("folder", "out")
        files = {path.relative_to(located.path).as_posix() for path in located.path.rglob("*") if path.is_file()}
        assert files == {"part_0.csv", "sub/part_1.csv", "EMPTY"}
    assert located_in(fresh_lake, "", cache).name == fresh_lake.bucket


def test_an_archive_may_be_an_object(fresh_lake: Lake, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "ml").mkdir()
    (tmp_path / "ml" / "ratings.csv").write_bytes(RATINGS)
    packed = shutil.make_archive(str(tmp_path / "ml"), "zip", tmp_path, "ml")
    put(fresh_lake, ml_zip=Path(packed).read_bytes())
    located = located_in(fresh_lake, "ml.zip", cache)
    assert [member.name for member in recognise(located).members] == ["ml.zip!/ml/ratings.csv"]


def test_of_a_prefix_only_what_changed_is_fetched_again(fresh_lake: Lake, cache: Path) -> None:
    put(fresh_lake, out__a_csv=b"a", out__b_csv=b"b", out__c_csv=b"c", out__d_csv=b"d")
    folder = located_in(fresh_lake, "out", cache).path
    first = {path.name: path.stat().st_ino for path in folder.iterdir()}
    put(fresh_lake, out__b_csv=b"B", out__e_csv=b"e")
    fresh_lake.client().delete_object(Bucket=fresh_lake.bucket, Key="out/c.csv")
    (folder / "d.csv").write_bytes(b"x")  # spoilt in the cache
    assert located_in(fresh_lake, "out", cache).path == folder
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "a.csv": b"a", "b.csv": b"B", "d.csv": b"d", "e.csv": b"e",
    }  # fmt: skip
    assert (folder / "a.csv").stat().st_ino == first["a.csv"]
    assert leftovers(cache) == []


def test_what_was_a_file_may_become_a_folder(fresh_lake: Lake, cache: Path) -> None:
    put(fresh_lake, out=RATINGS)
    assert located_in(fresh_lake, "out", cache).kind == "file"
    fresh_lake.client().delete_object(Bucket=fresh_lake.bucket, Key="out")
    put(fresh_lake, out__a_csv=RATINGS)
    assert located_in(fresh_lake, "out", cache).kind == "folder"


def test_a_sum_of_an_object_is_checked_and_spares_the_server(fresh_lake: Lake, cache: Path) -> None:
    put(fresh_lake, ratings_csv=RATINGS)
    with pytest.raises(SourceError, match=f"found {SHA256}"):
        located_in(fresh_lake, "ratings.csv", cache, sha256="0" * 64)
    first = located_in(fresh_lake, "ratings.csv", cache, sha256=SHA256)
    fresh_lake.client().delete_object(Bucket=fresh_lake.bucket, Key="ratings.csv")
    assert located_in(fresh_lake, "ratings.csv", cache, sha256=SHA256) == first
    put(fresh_lake, out__a_csv=RATINGS)
    with pytest.raises(SourceError, match="sha256 is that of one file"):
        located_in(fresh_lake, "out", cache, sha256=SHA256)


def test_progress_counts_over_all_objects(fresh_lake: Lake, cache: Path) -> None:
    put(fresh_lake, out__a_csv=bytes(2_000_000), out__b_csv=bytes(1_500_000))
    seen: list[tuple[int, int | None]] = []
    located_in(fresh_lake, "out", cache, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (3_500_000, 3_500_000)
    assert seen == sorted(seen)


@pytest.mark.parametrize("key", ["out/../../evil.csv", "out/./a.csv", "out//a.csv", "out/a\nb.csv", "out/.."])
def test_keys_that_are_no_paths_are_refused(key: str) -> None:
    """Some servers mend such keys themselves; those of others must not lead out of the cache."""
    with pytest.raises(SourceError, match="can't be the path of a file"):
        path_below(key, "out/")


def test_refusals_of_an_object_store_name_the_source(fresh_lake: Lake, cache: Path) -> None:
    put(fresh_lake, empty_csv=b"")
    with pytest.raises(SourceError, match=rf"s3://{fresh_lake.bucket}/none\.csv does not exist at http"):
        located_in(fresh_lake, "none.csv", cache)
    with pytest.raises(SourceError, match=r"empty\.csv is empty"):
        located_in(fresh_lake, "empty.csv", cache)
    with pytest.raises(SourceError, match=r"s3://no-such-bucket/a\.csv names a bucket that does not exist"):
        locate("s3://no-such-bucket/a.csv", cache, lake=lambda: fresh_lake)
    with pytest.raises(LakeError, match=r"s3\.secret_key"):
        located_in(replace(fresh_lake, secret_key="wrong" * 8), "empty.csv", cache)
    with pytest.raises(LakeError, match="does not answer") as caught:
        located_in(replace(fresh_lake, endpoint="http://127.0.0.1:9"), "empty.csv", cache)
    assert caught.value.is_transient
    with pytest.raises(SourceError, match="without a login") as login:
        locate("s3://key:secret@bucket/a.csv", cache, lake=lambda: fresh_lake)
    assert "secret" not in str(login.value)


def test_the_lake_of_the_environment_is_the_one_to_ask(
    fresh_lake: Lake, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(fresh_lake, ratings_csv=RATINGS)
    for name in fresh_lake.environment():
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(LakeError, match="The object store is not set"):
        locate(f"s3://{fresh_lake.bucket}/ratings.csv", cache)
    for name, value in (fresh_lake.environment() | {"MARQUEE_BUCKET": "another"}).items():
        monkeypatch.setenv(name, value)
    assert locate(f"S3://{fresh_lake.bucket}/ratings.csv", cache).path.read_bytes() == RATINGS
