import hashlib
import os
import socket
import termios
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pooch
import pytest
from hierrec.core.errors import DownloadError
from hierrec.ingest.download import fetch

from tests.ingest.server import Answer, Server

CONTENT = bytes(range(256)) * 400
MD5 = hashlib.md5(CONTENT).hexdigest()
PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"


def body(content: bytes, length: int | None = None, status: int = 200) -> Answer:
    """Answer with ``content``, announced as ``length`` bytes."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content) if length is None else length))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    """Close the connection without an answer."""
    handler.connection.shutdown(socket.SHUT_RDWR)


WHOLE = body(CONTENT)
CUT_SHORT = body(CONTENT[:5000], len(CONTENT))
UNAVAILABLE = body(b"busy", status=503)
NOT_FOUND = body(b"no", status=404)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    yield server
    server.close()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def assert_no_file(cache: Path) -> None:
    assert not cache.exists() or list(cache.iterdir()) == []


def test_a_download_is_verified_and_kept(server: Server, cache: Path) -> None:
    server.answers = [WHOLE]
    path = fetch(server.url, MD5, cache)
    assert path.read_bytes() == CONTENT
    assert list(cache.iterdir()) == [path]


def test_a_download_is_fetched_once(server: Server, cache: Path) -> None:
    server.answers = [WHOLE]
    path = fetch(server.url, MD5, cache)
    server.http.server_close()
    assert fetch(server.url, MD5, cache) == path
    assert server.requests == 1


def test_without_a_checksum_it_is_fetched_again(server: Server, cache: Path) -> None:
    server.answers = [WHOLE, body(b"another")]
    path = fetch(server.url, None, cache)
    assert path.read_bytes() == CONTENT
    assert fetch(server.url, None, cache) == path
    assert path.read_bytes() == b"another"
    assert list(cache.iterdir()) == [path]


def test_a_file_that_vanishes_from_the_cache_is_fetched_again(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers = [WHOLE]
    there = fetch(server.url, MD5, cache)
    look = pooch.core.hash_matches

    def look_late(*args: Any, **kwargs: Any) -> bool:
        monkeypatch.setattr(pooch.core, "hash_matches", look)
        there.unlink()
        return look(*args, **kwargs)

    monkeypatch.setattr(pooch.core, "hash_matches", look_late)
    assert fetch(server.url, MD5, cache, wait=0).read_bytes() == CONTENT
    assert server.requests == 2


def test_a_damaged_file_in_the_cache_is_fetched_again(server: Server, cache: Path) -> None:
    server.answers = [WHOLE]
    fetch(server.url, MD5, cache).write_bytes(CONTENT[:-1])
    assert fetch(server.url, MD5, cache).read_bytes() == CONTENT
    assert server.requests == 2


@pytest.mark.parametrize("failure", [UNAVAILABLE, body(b"slower", status=429), CUT_SHORT, hang_up, body(CONTENT[:-1])])
def test_a_passing_failure_is_tried_again(server: Server, cache: Path, failure: Answer) -> None:
    server.answers = [failure, UNAVAILABLE, WHOLE]
    assert fetch(server.url, MD5, cache, wait=0).read_bytes() == CONTENT
    assert server.requests == 3


def test_attempts_end(server: Server, cache: Path) -> None:
    server.answers = [UNAVAILABLE]
    with pytest.raises(DownloadError, match=r"tried 4 times.* 503") as caught:
        fetch(server.url, MD5, cache, wait=0)
    assert server.requests == 4
    assert_says_both_ways_out(caught.value, server.url)
    assert_no_file(cache)


def test_a_transfer_that_is_always_cut_short_leaves_nothing(server: Server, cache: Path) -> None:
    server.answers = [CUT_SHORT]
    with pytest.raises(DownloadError, match="tried 2 times"):
        fetch(server.url, None, cache, attempts=2, wait=0)
    assert_no_file(cache)


def test_not_found_is_final(server: Server, cache: Path) -> None:
    server.answers = [NOT_FOUND]
    with pytest.raises(DownloadError, match=r"tried once.* 404") as caught:
        fetch(server.url, MD5, cache)
    assert server.requests == 1
    assert_says_both_ways_out(caught.value, server.url)


def test_another_file_says_what_was_expected_and_what_came(server: Server, cache: Path) -> None:
    server.answers = [body(b"something else")]
    with pytest.raises(DownloadError) as caught:
        fetch(server.url, MD5, cache, wait=0)
    message = str(caught.value)
    assert f"md5 {MD5} is expected, but its 14 bytes have {hashlib.md5(b'something else').hexdigest()}" in message
    assert "correct ingest.md5" in message
    assert server.requests == 2
    assert_says_both_ways_out(caught.value, server.url)
    assert_no_file(cache)


def test_a_web_page_is_called_a_web_page(server: Server, cache: Path) -> None:
    server.answers = [body(PAGE)]
    with pytest.raises(DownloadError, match="this is a web page, not the file"):
        fetch(server.url, MD5, cache, wait=0)
    assert_no_file(cache)


def test_nobody_listens(server: Server, cache: Path) -> None:
    server.close()
    with pytest.raises(DownloadError, match=r"tried 3 times.*127\.0\.0\.1 cannot be reached \(.*refused\)") as caught:
        fetch(server.url, MD5, cache, attempts=3, wait=0)
    assert len(caught.value.what) < 120
    assert_says_both_ways_out(caught.value, server.url)


@pytest.mark.parametrize("url", ["http://", "http://[half/x.zip", "https://a b\n/x.zip", "HTTP://*/x"])
def test_a_malformed_url_is_refused(cache: Path, url: str) -> None:
    with pytest.raises(DownloadError, match="tried"):
        fetch(url, MD5, cache, attempts=1)


def test_other_schemes_are_refused(cache: Path) -> None:
    with pytest.raises(DownloadError, match="ftp is not supported"):
        fetch("ftp://127.0.0.1/ml-1m.zip", MD5, cache)


def test_a_cache_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    server.answers = [WHOLE]
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DownloadError, match="cannot be written") as caught:
        fetch(server.url, MD5, tmp_path / "file" / "cache")
    assert "HIERREC_CACHE" in str(caught.value)


def test_no_progress_bar_without_a_terminal(server: Server, cache: Path, capfd: pytest.CaptureFixture[str]) -> None:
    server.answers = [WHOLE]
    fetch(server.url, MD5, cache)
    assert "%" not in capfd.readouterr().err


def test_a_progress_bar_on_a_terminal(server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answers = [WHOLE]
    controller, end = os.openpty()
    termios.tcsetwinsize(end, (24, 80))
    with os.fdopen(controller, "rb", buffering=0) as shown, os.fdopen(end, "w") as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        fetch(server.url, MD5, cache)
        print("end of test", file=terminal, flush=True)
        seen = b""
        while b"end of test" not in seen:
            seen += shown.read(1024)
    assert b"100%" in seen


def test_a_local_archive_is_used_in_place(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "local.zip"
    path.write_bytes(CONTENT)
    assert fetch(str(path), MD5, cache) == path
    assert fetch(str(path), None, cache) == path
    monkeypatch.setenv("HOME", str(tmp_path))
    assert fetch("~/local.zip", MD5, cache) == path
    monkeypatch.chdir(tmp_path)
    assert fetch("local.zip", MD5, cache) == Path("local.zip")
    assert not cache.exists()


def test_a_local_archive_with_another_checksum(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "local.zip"
    path.write_bytes(b"something else")
    with pytest.raises(DownloadError, match=f"md5 {MD5} is expected") as caught:
        fetch(str(path), MD5, cache)
    assert str(path) in str(caught.value)
    assert "correct ingest.md5" in str(caught.value)


@pytest.mark.parametrize("name", ["absent.zip", "~nobody-of-this-name/x.zip", "a\0b"])
def test_a_path_without_a_file(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DownloadError, match="no such file") as caught:
        fetch(name, MD5, cache)
    assert "correct ingest.archive" in str(caught.value)


def test_a_folder_is_called_a_folder(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(DownloadError, match="is a folder, not a file"):
        fetch(str(tmp_path), MD5, cache)


def test_without_a_file_an_empty_checksum_is_not_blamed(tmp_path: Path, server: Server, cache: Path) -> None:
    # After `-S ingest.md5=$(md5sum < wrong/path)`: first the path is wrong, then the checksum.
    with pytest.raises(DownloadError, match="no such file") as caught:
        fetch(str(tmp_path / "absent.zip"), "", cache)
    assert "correct ingest.archive" in str(caught.value)
    (tmp_path / "local.zip").write_bytes(CONTENT)
    with pytest.raises(DownloadError, match=rf"(?s)its checksum is empty.*set ingest\.md5 to {MD5}"):
        fetch(str(tmp_path / "local.zip"), "", cache)
    with pytest.raises(DownloadError, match="its checksum is empty"):
        fetch(server.url, "", cache)
    assert server.requests == 0


def test_messages_name_the_param_of_the_file(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "items.csv"
    with pytest.raises(DownloadError, match=r"correct ingest\.items; .*ingest\.items_md5") as caught:
        fetch(str(path), None, cache, key="items")
    assert "archive" not in str(caught.value)
    path.write_bytes(CONTENT)
    assert fetch(str(path), MD5, cache, key="items") == path
    with pytest.raises(DownloadError, match=r"correct ingest\.items_md5"):
        fetch(str(path), "0" * 32, cache, key="items")


def test_what_a_killed_download_left_is_removed_and_a_running_one_is_not(server: Server, cache: Path) -> None:
    cache.mkdir()
    for name, age in {"tmpkilled": 7200, "tmprunning": 5, "kept-other.zip": 7200}.items():
        (cache / name).write_bytes(CONTENT[:100])
        os.utime(cache / name, (time.time() - age, time.time() - age))
    server.answers = [WHOLE]
    path = fetch(server.url, MD5, cache)
    assert {found.name for found in cache.iterdir()} == {path.name, "tmprunning", "kept-other.zip"}


def assert_says_both_ways_out(error: DownloadError, url: str) -> None:
    for words in (url, "ingest.archive", "ingest.md5", "make demo"):
        assert words in str(error)
