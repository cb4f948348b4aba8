"""Reads requests that the grammar accepted as Python's HTTP server, client and URL parser do, and says where they find anything else
than the grammar did.

Usage: requests.py CASES ADDRESSES: a JSON object in each line, and an address in each line.
"""

import http.client
import http.server
import io
import ipaddress
import json
import posixpath
import socket
import sys
import urllib.parse


class Server(http.server.BaseHTTPRequestHandler):
    """A request as http.server reads it."""

    def __init__(self, head):
        self.rfile, self.wfile, self.error = io.BytesIO(head), io.BytesIO(), None
        self.raw_requestline = self.rfile.readline(65537)
        self.parsed = self.parse_request()

    def send_error(self, code, message=None, explain=None):
        self.error = f"{code} {message}"


class Socket:
    """Keeps what a client sends."""

    def __init__(self):
        self.sent = b""

    def sendall(self, data):
        self.sent += data


def same(what, found, expected):
    if found != expected:
        raise AssertionError(f"{what} finds {found!r}, the grammar {expected!r}")


def server(case):
    got = Server(case["Head"].encode())
    assert got.parsed, f"the server refuses it: {got.error}"
    same("server", (got.command, got.path, got.headers["Host"]), (case["Method"], case["Target"], case["HostField"]))
    for name, value in case["Fields"]:
        assert value in got.headers.get_all(name, []), f"the server has no field {name}"
    same("server's fields", len(got.headers), len(case["Fields"]) + 1)


def client(case):
    scheme = urllib.parse.urlsplit(case["URL"]).scheme
    connection = http.client.HTTPConnection(case["HostField"])
    if scheme == "https":
        connection = http.client.HTTPConnection(case["HostField"] if case["Port"] else f"{case['HostField']}:443")
        connection.default_port = 443
    connection.sock = Socket()
    connection.request(case["Method"], case["Target"])
    line, host = connection.sock.sent.decode().split("\r\n")[:2]
    same("client", (line, host), (f"{case['Method']} {case['Target']} HTTP/1.1", f"Host: {case['HostField']}"))


def parser(case):
    got = urllib.parse.urlsplit(case["URL"])
    port = str(got.port) if got.port else ""
    found = (got.hostname, port, got.path, got.query, got.fragment, got.username)
    same("parser", found, (case["Host"], case["Port"], case["Path"], case["Query"], "", None))
    same("decoded path", urllib.parse.unquote(got.path, errors="strict"), case["Decoded"])
    plain = case["Decoded"]
    slash = "/" if plain.endswith("/") and plain != "/" else ""
    same("normal path", posixpath.normpath(plain) + slash, plain)


def query(case):
    if case["Certain"]:
        found = urllib.parse.parse_qsl(case["Query"], keep_blank_values=True, errors="strict")
        same("query", [name for name, _ in found], case["Names"])


def literal(case):
    try:
        ipaddress.ip_address(case["Host"])
        found = True
    except ValueError:
        found = False
    same("literal", found, case["Literal"])
    if not found:
        # The resolver of C asks inet_aton first.
        try:
            socket.inet_aton(case["Host"])
        except OSError:
            return
        raise AssertionError("inet_aton takes it for an address")


NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_public(text):
    address = ipaddress.ip_address(text)
    if address.version == 6:
        inside = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in NAT64 else address.ipv4_mapped
        address = inside or address
    embedded = getattr(address, "sixtofour", None) or getattr(address, "teredo", None)
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_private or embedded)


def lines(file):
    with open(file, encoding="utf-8") as text:
        return text.read().strip().split("\n")


count = 0
for line in lines(sys.argv[1]):
    case = json.loads(line)
    for judge in (server, client, parser, query, literal):
        try:
            judge(case)
        except Exception as error:
            sys.exit(f"{error!r}\n{line}")
    count += 1
for line in lines(sys.argv[2]):
    if not is_public(line):
        sys.exit(f"{line} is not public")
    count += 1
print(f"{count} agree")
