"""What a host may answer, and all that it may not (threats A-123 to A-125)."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc

import pytest

from grantwell._outbound.exchange import MAX_HEADER_BYTES, Fetched
from grantwell._outbound.failures import FetchFailed
from grantwell._outbound.fetcher import DEADLINE_SECONDS
from tests.outbound.internet import (
    MOST_BYTES,
    URL,
    Answer,
    Internet,
    cut_off,
    dripping,
    endless,
    http,
    raw,
    silent,
)

pytestmark = pytest.mark.anyio
requirement = pytest.mark.requirement

DOCUMENT = b'{"client_id":"https://m1.test/c.json"}'
CHUNKED = "Transfer-Encoding: chunked"
OK = "HTTP/1.1 200 OK"


def chunks(*pieces: bytes) -> bytes:
    """A whole chunked body."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b""))


def single_bytes(data: bytes) -> bytes:
    """A chunked body of one byte a chunk."""
    return chunks(*(bytes([byte]) for byte in data))


ACCEPTED: dict[str, bytes] = {
    "content-length": raw(OK, "Content-Length: 38", body=DOCUMENT),
    "chunked": raw(OK, CHUNKED, body=chunks(DOCUMENT[:5], DOCUMENT[5:])),
    "chunked, with extension and trailer": raw(OK, CHUNKED, body=b"26;a=b\r\n" + DOCUMENT + b"\r\n0\r\nA: b\r\n\r\n"),
    "chunked, a byte at a time": raw(OK, CHUNKED, body=single_bytes(DOCUMENT)),
    "until the end of the connection": raw(OK, body=DOCUMENT),
    "HTTP/1.0": raw("HTTP/1.0 200 OK", body=DOCUMENT),
    "informational answers before": raw("HTTP/1.1 103 Early Hints", "Link: </x>") * 20 + http(DOCUMENT),
    "identity coding": http(DOCUMENT, "Content-Encoding: identity"),
    "empty coding": http(DOCUMENT, "Content-Encoding:"),
    "same length twice": raw(OK, "Content-Length: 38", "Content-Length: 38", body=DOCUMENT),
    "something behind the body": raw(OK, "Content-Length: 38", body=DOCUMENT + b"HTTP/1.1 500 Oh\r\n\r\n"),
    "other reason phrase": raw("HTTP/1.1 200 Fine, thank you", "Content-Length: 38", body=DOCUMENT),
    "cookies, which are ignored": http(DOCUMENT, "Set-Cookie: a=b", "Set-Cookie: c=d; Secure"),
}


@requirement("S-425", "S-464", "A-124")
@pytest.mark.parametrize("answer", [pytest.param(answer, id=id_) for id_, answer in ACCEPTED.items()])
async def test_a_whole_plain_200_is_fetched(answer: bytes, internet: Internet) -> None:
    await internet.serve(answer)
    assert (await internet.get()).body == DOCUMENT


@requirement("S-443", "A-125")
@pytest.mark.parametrize(
    ("fields", "content_type"),
    [
        ([], None),
        (["Content-Type: application/json"], "application/json"),
        (["content-type:text/html; charset=x "], "text/html; charset=x"),
        (["Content-Type:"], ""),
        (["Content-Type: application/json", "Content-Type: text/html"], None),
    ],
    ids=["none", "one", "other spelling", "empty", "two"],
)
async def test_the_content_type_is_handed_on_if_there_is_exactly_one(
    fields: list[str], content_type: str | None, internet: Internet
) -> None:
    await internet.serve(raw(OK, *fields, "Content-Length: 0"))
    assert await internet.get() == Fetched(body=b"", content_type=content_type, max_age=None)


@requirement("S-425", "A-123")
@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
@pytest.mark.parametrize("target", ["https://m2.test/c.json", "https://localhost/", "/c2.json"])
async def test_a_redirection_is_not_followed(status: int, target: str, internet: Internet) -> None:
    host = await internet.serve(http(DOCUMENT, f"Location: {target}", status=f"{status} There"))
    other = await internet.serve(name="m2.test", address="1.1.1.1")
    with pytest.raises(FetchFailed, match=f"status {status}"):
        await internet.get()
    assert (internet.queries, host.connections, other.connections) == (["m1.test"], 1, 0)


@requirement("S-425", "A-125")
@pytest.mark.parametrize(
    "status", [201, 202, 203, 204, 205, 206, 226, 304, 400, 401, 404, 407, 429, 500, 503, 599, 999]
)
async def test_only_the_status_200_counts(status: int, internet: Internet) -> None:
    await internet.serve(http(DOCUMENT, status=f"{status} Well"))
    with pytest.raises(FetchFailed, match=f"status {status}"):
        await internet.get()


@requirement("S-432", "A-124")
@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "br", "zstd", "identity, gzip", "GZIP", "aes128gcm"])
async def test_a_compressed_answer_is_refused_and_never_unpacked(coding: str, internet: Internet) -> None:
    bomb = gzip.compress(b"0" * 4_000_000)
    await internet.serve(http(bomb[:MOST_BYTES], f"Content-Encoding: {coding}"))
    with pytest.raises(FetchFailed, match="compressed"):
        await internet.get()


@requirement("S-432", "A-124")
@pytest.mark.parametrize("size", [0, 1, MOST_BYTES - 1, MOST_BYTES])
async def test_a_body_may_be_as_large_as_allowed(size: int, internet: Internet) -> None:
    bodies = [
        raw(OK, f"Content-Length: {size}", body=b"x" * size),
        raw(OK, CHUNKED, body=single_bytes(b"x" * size)),
        raw(OK, body=b"x" * size),
    ]
    for number, answer in enumerate(bodies):
        await internet.serve(answer, name=f"m{number}.test", address=f"1.1.1.{number}")
        assert (await internet.get(f"https://m{number}.test/c")).body == b"x" * size


TOO_LARGE: dict[str, bytes | Answer] = {
    "one byte, with its length": http(b"x" * (MOST_BYTES + 1)),
    "one byte, chunked": raw(OK, CHUNKED, body=chunks(b"x" * 5_000, b"x" * 121)),
    "one byte, without a length": raw(OK, body=b"x" * (MOST_BYTES + 1)),
    "a length alone, then silence": raw(OK, "Content-Length: 5121"),
    "a length with twenty digits": raw(OK, "Content-Length: " + "9" * 20),
    "a gigabyte that is announced": endless(raw(OK, "Content-Length: 1073741824"), b"x" * 65_536),
    "endless without a length": endless(raw(OK), b"x" * 65_536),
    "endless in large chunks": endless(raw(OK, CHUNKED), chunks(b"x" * 65_536)[:-5]),
    "endless in one chunk": endless(raw(OK, CHUNKED, body=b"fffffffffffff\r\n"), b"x" * 65_536),
    "endless in small chunks": endless(raw(OK, CHUNKED), b"1\r\nx\r\n" * 1_000),
}


@requirement("S-432", "S-229", "A-124")
@pytest.mark.parametrize("answer", [pytest.param(answer, id=id_) for id_, answer in TOO_LARGE.items()])
async def test_a_body_that_is_larger_than_allowed_is_refused(answer: bytes | Answer, internet: Internet) -> None:
    await internet.serve(answer)
    with pytest.raises(FetchFailed, match="larger than 5120 bytes"):
        await internet.get()


MALFORMED: dict[str, bytes] = {
    "HTTP/0.9": DOCUMENT,
    "HTTP/0.9 page": b"<html>" + b"x" * 100 + b"\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "HTTP/2": b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64",
    "no status": raw("HTTP/1.1 OK"),
    "status of two digits": raw("HTTP/1.1 20 OK"),
    "status below all": raw("HTTP/1.1 099 Low", "Content-Length: 0"),
    "empty line first": b"\r\n" + http(DOCUMENT),
    "field without a colon": raw(OK, "Content-Length 38", body=DOCUMENT),
    "blank before the colon": raw(OK, "Content-Length : 38", body=DOCUMENT),
    "continuation as the first field": raw(OK, " folded: 1", "Content-Length: 38", body=DOCUMENT),
    "NUL in a field": raw(OK, "A: b\0c", "Content-Length: 38", body=DOCUMENT),
    "negative length": raw(OK, "Content-Length: -1", body=DOCUMENT),
    "length with a sign": raw(OK, "Content-Length: +38", body=DOCUMENT),
    "hexadecimal length": raw(OK, "Content-Length: 0x26", body=DOCUMENT),
    "length of 5,000 digits": raw(OK, "Content-Length: " + "9" * 5_000, body=DOCUMENT),
    "two lengths": raw(OK, "Content-Length: 38", "Content-Length: 39", body=DOCUMENT),
    "two lengths in one field": raw(OK, "Content-Length: 38, 39", body=DOCUMENT),
    "unknown transfer coding": raw(OK, "Transfer-Encoding: gzip, chunked", body=chunks(DOCUMENT)),
    "chunked twice": raw(OK, "Transfer-Encoding: chunked, chunked", body=chunks(DOCUMENT)),
    "chunk size is no number": raw(OK, CHUNKED, body=b"xyz\r\n" + DOCUMENT),
    "negative chunk size": raw(OK, CHUNKED, body=b"-26\r\n" + DOCUMENT + b"\r\n0\r\n\r\n"),
    "chunk size of 21 digits": raw(OK, CHUNKED, body=b"0" * 19 + b"26\r\n" + DOCUMENT + b"\r\n0\r\n\r\n"),
    "chunk is longer than it says": raw(OK, CHUNKED, body=b"25\r\n" + DOCUMENT + b"\r\n0\r\n\r\n"),
    "chunk extension without end": raw(OK, CHUNKED, body=b"26;" + b"a" * 30_000),
    "trailers without end": raw(OK, CHUNKED, body=b"0\r\n" + b"A: b\r\n" * 5_000),
    "switch of protocols": raw("HTTP/1.1 101 Switching Protocols", "Upgrade: x", "Connection: upgrade"),
}


@requirement("A-124", "S-464")
@pytest.mark.parametrize("answer", [pytest.param(answer, id=id_) for id_, answer in MALFORMED.items()])
async def test_an_answer_that_is_no_well_formed_http_is_refused(answer: bytes, internet: Internet) -> None:
    await internet.serve(answer)
    with pytest.raises(FetchFailed, match=r"no well-formed HTTP/1\.1") as caught:
        await internet.get()
    assert "OK" not in str(caught.value)


@requirement("A-124")
async def test_an_answer_with_a_length_and_chunks_is_refused(internet: Internet) -> None:
    await internet.serve(raw(OK, "Content-Length: 38", CHUNKED, body=chunks(DOCUMENT)))
    with pytest.raises(FetchFailed, match="two lengths"):
        await internet.get()


TRUNCATED: dict[str, bytes] = {
    "before the answer": b"",
    "in the status line": b"HTTP/1.1 20",
    "in the headers": b"HTTP/1.1 200 OK\r\nContent-Length: 38\r\n",
    "before the body": raw(OK, "Content-Length: 38"),
    "in the body": raw(OK, "Content-Length: 38", body=DOCUMENT[:37]),
    "in a chunk": raw(OK, CHUNKED, body=b"26\r\n" + DOCUMENT[:37]),
    "between chunks": raw(OK, CHUNKED, body=b"26\r\n" + DOCUMENT + b"\r\n"),
    "before the trailer": raw(OK, CHUNKED, body=b"26\r\n" + DOCUMENT + b"\r\n0\r\n"),
}


@requirement("A-124")
@pytest.mark.parametrize("part", [pytest.param(part, id=id_) for id_, part in TRUNCATED.items()])
async def test_a_part_of_an_answer_is_refused_however_the_connection_ends(part: bytes, internet: Internet) -> None:
    async def closing(writer: asyncio.StreamWriter) -> None:
        writer.write(part)

    await internet.serve(closing, name="m1.test", address="1.1.1.1")
    with pytest.raises(FetchFailed, match=r"no well-formed HTTP/1\.1"):
        await internet.get("https://m1.test/c")
    await internet.serve(cut_off(part), name="m2.test", address="1.1.1.2")
    with pytest.raises(FetchFailed, match=r"cut off|connection failed"):
        await internet.get("https://m2.test/c")


@requirement("A-124")
async def test_a_body_that_lasts_until_the_end_is_whole_only_with_the_goodbye_of_tls(internet: Internet) -> None:
    await internet.serve(cut_off(raw(OK, body=DOCUMENT)))
    with pytest.raises(FetchFailed, match=r"cut off|connection failed"):
        await internet.get()


@requirement("A-124")
async def test_a_body_that_is_complete_is_taken_without_waiting_for_a_goodbye(internet: Internet) -> None:
    async def staying(writer: asyncio.StreamWriter) -> None:
        writer.write(http(DOCUMENT))
        await silent(writer)

    await internet.serve(staying)
    assert (await internet.get()).body == DOCUMENT


def head_of(size: int) -> bytes:
    """A head of exactly so many bytes."""
    head = raw(OK, "Content-Length: 38", "X: ")
    return head.replace(b"X: ", b"X: " + b"x" * (size - len(head)))


@requirement("A-124")
async def test_headers_may_have_16_kib_all_told_and_no_byte_more(internet: Internet) -> None:
    await internet.serve(head_of(MAX_HEADER_BYTES) + DOCUMENT, name="m1.test", address="1.1.1.1")
    assert (await internet.get("https://m1.test/c")).body == DOCUMENT
    await internet.serve(head_of(MAX_HEADER_BYTES + 1) + DOCUMENT, name="m2.test", address="1.1.1.2")
    with pytest.raises(FetchFailed, match="16384 bytes of headers"):
        await internet.get("https://m2.test/c")


HEADER_FLOODS: dict[str, bytes | Answer] = {
    "one of 100 KiB": http(DOCUMENT, "A: " + "a" * 102_400),
    "a name of 100 KiB": http(DOCUMENT, "a" * 102_400 + ": a"),
    "10,000": http(DOCUMENT, *("A: b" for _ in range(10_000))),
    "without end": endless(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n" * 1_000),
    "one without end": endless(b"HTTP/1.1 200 OK\r\nA: ", b"a" * 10_000),
    "a status line without end": endless(b"HTTP/1.1 200 ", b"a" * 10_000),
    "informational answers without end": endless(b"", b"HTTP/1.1 103 Hints\r\n\r\n" * 100),
    "folded without end": endless(b"HTTP/1.1 200 OK\r\nA: b", b"\r\n c" * 1_000),
}


@requirement("A-124")
@pytest.mark.parametrize("answer", [pytest.param(answer, id=id_) for id_, answer in HEADER_FLOODS.items()])
async def test_a_flood_of_headers_is_refused(answer: bytes | Answer, internet: Internet) -> None:
    await internet.serve(answer)
    with pytest.raises(FetchFailed, match="16384 bytes of headers"):
        await internet.get()


SLOW: dict[str, Answer] = {
    "nothing after the request": silent,
    "a byte at a time, in the headers": dripping(http(DOCUMENT, "A: " + "a" * 1_000)),
    "a byte at a time, in the body": dripping(raw(OK, "Content-Length: 1000", body=b"x" * 1_000)),
    "a chunk at a time": dripping(raw(OK, CHUNKED, body=b"1\r\nx\r\n" * 200)),
}


@requirement("S-432", "A-124")
@pytest.mark.parametrize("answer", [pytest.param(answer, id=id_) for id_, answer in SLOW.items()])
async def test_an_answer_that_is_not_whole_in_time_is_given_up(answer: Answer, internet: Internet) -> None:
    assert DEADLINE_SECONDS == 5
    host = await internet.serve(answer)
    async with asyncio.timeout(3):
        with pytest.raises(FetchFailed, match=r"within 0\.25 s"):
            await internet.get(deadline=0.25)
    assert len(host.requests) == 1


@requirement("A-124")
async def test_a_host_that_never_speaks_tls_is_given_up_in_time(internet: Internet) -> None:
    host = await internet.serve(silent, plain=True)
    async with asyncio.timeout(3):
        with pytest.raises(FetchFailed, match=r"within 0\.25 s"):
            await internet.get(deadline=0.25)
    assert host.connections == 1


NOISE: dict[str, bytes] = {
    "nothing": b"",
    "plain HTTP": http(DOCUMENT),
    "zeros": b"\0" * 100,
    "an alert": b"\x15\x03\x03\0\2\2\x28",
    "a record that is too long": b"\x16\x03\x03\xff\xff" + b"\0" * 70_000,
}


@requirement("A-124", "A-138")
@pytest.mark.parametrize("noise", [pytest.param(noise, id=id_) for id_, noise in NOISE.items()])
async def test_a_host_that_speaks_no_tls_is_refused(noise: bytes, internet: Internet) -> None:
    async def talking(writer: asyncio.StreamWriter) -> None:
        writer.write(noise)

    await internet.serve(talking, plain=True)
    with pytest.raises(FetchFailed, match=r"connection failed|cut off"):
        await internet.get()


@requirement("A-124")
async def test_padding_around_a_small_body_is_bounded_as_well(internet: Internet) -> None:
    await internet.serve(endless(raw(OK, CHUNKED), b"1;" + b"a" * 200 + b"\r\nx\r\n"))
    with pytest.raises(FetchFailed, match="more than any such answer needs"):
        await internet.get()


@requirement("A-124")
async def test_a_flood_takes_little_memory(internet: Internet) -> None:
    await internet.serve(endless(raw(OK, CHUNKED), chunks(b"x" * 60_000)[:-5]))
    fetcher = internet.fetcher()
    with pytest.raises(FetchFailed):
        await fetcher.get(URL, most_bytes=MOST_BYTES, on_behalf_of=None)
    tracemalloc.start()
    try:
        with pytest.raises(FetchFailed):
            await fetcher.get(URL, most_bytes=16, on_behalf_of=None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The host in this process has buffers of its own.
    assert peak < 1_500_000
