"""URLs, redirect URIs and resource indicators: RFC 3986, narrowed to what decision D-17 lets in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tests.properties.scanning import ALPHA, DIGIT, HEXDIG, LOWER, Reader

MAX_LENGTH = 2048
MAX_PRIVATE_USE_TAIL = MAX_LENGTH - len("https://private-use")
"""Of a private-use URI, the characters behind scheme and authority."""
LOOPBACK = ("127.0.0.1", "[::1]", "localhost")

_UNRESERVED = ALPHA | DIGIT | frozenset("-._~")
_SUB_DELIMS = frozenset("!$&'()*+,;=")
_PCHAR = _UNRESERVED | _SUB_DELIMS | frozenset(":@")
_HOST = ALPHA | DIGIT | frozenset("-._")
_DEFAULT_PORT = {"http": 80, "https": 443}
_RESPONSE_PARAMETERS = """
    access_token code error error_description error_uri expires_in id_token iss refresh_token response state token_type
"""


@dataclass(frozen=True, slots=True)
class Url:
    """The parts of an http or https URL as they were written."""

    scheme: str
    host: str
    port: int | None
    path: str
    query: str | None
    fragment: str | None

    @property
    def origin(self) -> str:
        """Scheme, host and port, in lower case and without a default port (RFC 6454 section 6.1)."""
        scheme = self.scheme.lower()
        port = None if self.port == _DEFAULT_PORT[scheme] else self.port
        return f"{scheme}://{self.host.lower()}" + (f":{port}" if port else "")


def http_url(text: str) -> Url | None:
    """`absolute-URI [ "#" fragment ]` of RFC 3986, http or https, without user info, at most 2,048 characters."""
    reader = Reader(text)
    scheme = reader.run(ALPHA)
    if len(text) > MAX_LENGTH or scheme.lower() not in _DEFAULT_PORT or not reader.literal("://"):
        return None
    host = _host(reader)
    if host is None:
        return None
    port = None
    if reader.literal(":"):
        port = _port(reader)
        if port is None or port > 65535:
            return None
    tail = _tail(reader)
    return None if tail is None else Url(scheme, host, port, *tail)


def redirect_uri(text: str, private_use_schemes: frozenset[str]) -> bool:
    """Whether a client may register it (RFC 8252 section 7; OAuth 2.1 section 2.3)."""
    if len(text) > MAX_LENGTH:
        return False
    scheme, _, rest = text.partition(":")
    if scheme in _DEFAULT_PORT:
        url = http_url(text)
        if url is None or (scheme == "http" and url.host not in LOOPBACK):
            return False
        path, query, fragment = url.path, url.query, url.fragment
    elif scheme in private_use_schemes or _is_reversed_domain(scheme):
        parts = _private_use(rest)
        if parts is None:
            return False
        path, query, fragment = parts
    else:
        return False
    return fragment is None and "*" not in text and not _has_dot_segment(path) and not _names_answer(query or "")


def client_id_url(text: str) -> Url | None:
    """The URL of a client ID metadata document, in its one spelling (CIMD section 3)."""
    url = http_url(text)
    if url is None or not text.startswith("https://") or url.fragment is not None:
        return None
    has_path = url.path.strip("/") != ""
    is_plain = has_path and url.host == url.host.lower() and url.port != 443 and not _has_dot_segment(url.path)
    escapes = {text[at + 1 : at + 3].upper() for at, character in enumerate(text) if character == "%"}
    odd = {f"{code:02X}" for code in (*range(0x20), 0x7F, ord("\\"))}
    return url if is_plain and not escapes & odd else None


def matches(registered: Iterable[str], presented: str) -> bool:
    """Whether a request may use the presented URI: one that is registered, on loopback with any port."""
    return any(uri == presented or _is_same_but_for_port(uri, presented) for uri in registered)


def resource(text: str, identifiers: Iterable[str]) -> str | None:
    """The identifier that a resource indicator names (RFC 8707 section 2; RFC 3986 sections 6.2.2.1 and 6.2.3)."""
    exact = [identifier for identifier in identifiers if identifier == text]
    if exact:
        return exact[0]
    url = http_url(text)
    if url is None or url.fragment is not None or url.query is not None:
        return None
    for identifier in identifiers:
        other = http_url(identifier)
        same_path = other is not None and (other.path == url.path or {other.path, url.path} == {"", "/"})
        if other is not None and same_path and other.origin == url.origin:
            return identifier
    return None


def _tail(reader: Reader) -> tuple[str, str | None, str | None] | None:
    """`path-abempty [ "?" query ] [ "#" fragment ]`, up to the end."""
    path = ""
    if reader.rest.startswith("/"):
        path = reader.escaped(_PCHAR | {"/"})
    query = reader.escaped(_PCHAR | {"/", "?"}) if reader.literal("?") else None
    fragment = reader.escaped(_PCHAR | {"/", "?"}) if reader.literal("#") else None
    return (path, query, fragment) if reader.ended else None


def _host(reader: Reader) -> str | None:
    if reader.literal("["):
        inside = reader.until("]")
        return f"[{inside}]" if inside is not None and is_ipv6(inside) else None
    host = reader.run(_HOST)
    labels = host.split(".")
    if not host or host[0] in "-._" or len(host) > 253 or any(not 1 <= len(label) <= 63 for label in labels):
        return None
    # What the URL standard would read as an IPv4 address must be one in its usual spelling.
    return None if _is_number(labels[-1]) and not _is_ipv4(labels) else host


def _port(reader: Reader) -> int | None:
    digits = reader.run(DIGIT)
    return int(digits) if digits and digits[0] != "0" and len(digits) <= 5 else None


def _is_number(label: str) -> bool:
    return set(label) <= DIGIT or (label[:2] in ("0x", "0X") and set(label[2:]) <= HEXDIG)


def _is_ipv4(labels: list[str]) -> bool:
    """`dec-octet "." dec-octet "." dec-octet "." dec-octet`."""
    octets = [str(number) for number in range(256)]
    return len(labels) == 4 and all(label in octets for label in labels)


def is_ipv6(text: str) -> bool:
    """`IPv6address` of RFC 3986 section 3.2.2: eight groups of 16 bits, or fewer with one `::` for the others."""
    halves = [half.split(":") if half else [] for half in text.split("::")]
    groups = 0
    if halves[-1] and _is_ipv4(halves[-1][-1].split(".")):
        halves[-1].pop()
        groups = 2
    pieces = [piece for half in halves for piece in half]
    if any(not 1 <= len(piece) <= 4 or not set(piece) <= HEXDIG for piece in pieces):
        return False
    groups += len(pieces)
    return groups == 8 if len(halves) == 1 else len(halves) == 2 and groups <= 7


def _is_reversed_domain(scheme: str) -> bool:
    """Lower-case labels between dots, at least two, the first of which begins with a letter (RFC 8252 section 7.1)."""
    labels = scheme.split(".")
    return (
        len(scheme) <= 63
        and len(labels) > 1
        and scheme[:1] in LOWER
        and all(label and set(label) <= LOWER | DIGIT | {"-"} for label in labels)
    )


def _private_use(rest: str) -> tuple[str, str | None, str | None] | None:
    """Behind the colon: `"//" authority tail`, or a path that begins with one slash."""
    reader = Reader(rest)
    if reader.literal("//"):
        if len(reader.run(_HOST)) > 253 or (reader.literal(":") and _port(reader) is None):
            return None
    elif not rest.startswith("/"):
        return None
    return _tail(reader) if len(reader.rest) <= MAX_PRIVATE_USE_TAIL else None


def _has_dot_segment(path: str) -> bool:
    plain = path
    for escape, meant in (("%2e", "."), ("%2E", "."), ("%2f", "/"), ("%2F", "/")):
        plain = plain.replace(escape, meant)
    return bool({segment.partition(";")[0] for segment in plain.split("/")} & {".", ".."})


def _names_answer(query: str) -> bool:
    names = [field.partition("=")[0] for part in query.split("&") for field in part.split(";")]
    return bool({_decoded(name).lower() for name in names} & set(_RESPONSE_PARAMETERS.split()))


def _decoded(name: str) -> str:
    data = bytearray()
    at = 0
    while at < len(name):
        if name[at] == "%":
            data.append(int(name[at + 1 : at + 3], 16))
            at += 3
        else:
            data += b" " if name[at] == "+" else name[at].encode()
            at += 1
    return data.decode(errors="replace")


def _is_same_but_for_port(uri: str, other: str) -> bool:
    first, second = http_url(uri), http_url(other)
    if first is None or second is None or first.scheme != "http" or second.scheme != "http":
        return False
    return (
        first.host in LOOPBACK
        and (first.host, first.path, first.query) == (second.host, second.path, second.query)
        and first.fragment is None
        and second.fragment is None
    )
