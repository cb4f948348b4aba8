//! Whatever the grammar accepts means the same to others: Go's net/http and net/url (Debian `golang-go`), and Python's http and urllib,
//! as servers, as clients and as parsers. Where they are not installed, that is said and passed over; in CI it is a failure.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]
#![allow(clippy::disallowed_methods, reason = "tests that run other programs")]

mod common;

use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{get, load, words};
use serde_json::json;
use tempfile::TempDir;
use tollgate_network::{
    Addresses, AllowedHttp, HttpRequest, HttpTexts, NetworkGrants, RawHttpGrant, RawNetworkGrants, check_http,
};
use tollgate_testing::chance::Chance;
use tollgate_testing::foreign::missing;

#[test]
fn go_reads_what_was_accepted_alike() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("requests");
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&program).arg(here("requests.go"));
    build.env("GO111MODULE", "off").env("GOCACHE", folder.path().join("cache"));
    let Some(built) = build.output().ok() else { return missing("`go`", "apt.log") };
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    agree(&folder, || Command::new(&program));
}

#[test]
fn python_reads_what_was_accepted_alike() {
    if !Command::new("python3").arg("--version").output().is_ok_and(|said| said.status.success()) {
        return missing("`python3`", "apt.log");
    }
    agree(&tempfile::tempdir().unwrap(), || {
        let mut program = Command::new("python3");
        program.arg(here("requests.py"));
        program
    });
}

#[test]
fn a_judge_that_is_missing_fails_in_ci_and_is_passed_over_elsewhere() {
    for (test, judge) in
        [("go_reads_what_was_accepted_alike", "`go`"), ("python_reads_what_was_accepted_alike", "`python3`")]
    {
        for (ci, passes) in [("true", false), ("false", true)] {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", test, "--nocapture"]).env("PATH", "/nonexistent").env("CI", ci);
            let output = command.env_remove("TOLLGATE_SKIPPED").output().unwrap();
            let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            assert_eq!(output.status.success(), passes, "{judge} CI={ci}: {said}");
            let expected =
                if passes { format!("SKIPPED: {judge} is missing") } else { format!("{judge} is missing, and") };
            assert!(said.contains(&expected), "{judge} CI={ci}: {said}");
        }
    }
}

/// Lets a judge read all requests and addresses, and then one of which something else is told than what is sent.
fn agree(folder: &TempDir, judge: impl Fn() -> Command) {
    let (requests, addresses) = (accepted_requests(), public_addresses());
    let (some, others) = (requests.lines().count(), addresses.lines().count());
    assert!(some > 2_000 && others > 2_000, "{some} requests, {others} addresses");
    let (agrees, said) = judged(folder, judge(), &requests, &addresses);
    assert!(agrees, "{said}");
    assert_eq!(said, format!("{} agree\n", some + others));

    let plain = case_of("https", "api.test:8443", "/v1/a%20b?a=1&b");
    assert!(judged(folder, judge(), &plain.to_string(), "1.1.1.1").0);
    for key in ["Method", "Target", "HostField", "Host", "Port", "Path", "Decoded", "Query"] {
        let mut other = plain.clone();
        other[key] = json!("/x");
        assert!(!judged(folder, judge(), &other.to_string(), "1.1.1.1").0, "{key}");
    }
    let mut other = plain.clone();
    other["Names"] = json!(["a"]);
    assert!(!judged(folder, judge(), &other.to_string(), "1.1.1.1").0);
    for address in ["10.0.0.1", "::1", "::ffff:10.0.0.1", "fe80::1"] {
        assert!(!judged(folder, judge(), &plain.to_string(), address).0, "{address}");
    }
}

/// Whether a judge agrees, and what it says.
fn judged(folder: &TempDir, mut judge: Command, requests: &str, addresses: &str) -> (bool, String) {
    let paths = ["requests.json", "addresses"].map(|name| folder.path().join(name));
    fs::write(&paths[0], requests).unwrap();
    fs::write(&paths[1], addresses).unwrap();
    let output = judge.args(&paths).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// One request without header fields.
fn case_of(scheme: &str, authority: &str, target: &str) -> serde_json::Value {
    let (grants, request) = (wide(), common::ask("GET", scheme, authority, target));
    case(&check_http(&grants, &request).unwrap())
}

/// Requests that grants as wide as there are allow, made of pieces that some reader reads otherwise: a JSON object in each line.
fn accepted_requests() -> String {
    let grants = wide();
    let mut lines = String::new();
    for round in 0..ROUNDS {
        let mut chance = Chance::of(18, round);
        let (authority, target) = (text(&mut chance, &HOSTS, &HOST_PIECES), target(&mut chance));
        let fields = fields(&mut chance);
        let borrowed: Vec<(&[u8], &[u8])> =
            fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        let request = HttpRequest::new(&HttpTexts {
            method: chance.pick(&["GET", "POST", "M-SEARCH", "get", "G T"]).as_bytes(),
            scheme: chance.pick(&["https", "https", "http"]).as_bytes(),
            authority: authority.as_bytes(),
            target: target.as_bytes(),
            fields: &borrowed,
        });
        if let Ok(allowed) = check_http(&grants, &request) {
            writeln!(lines, "{}", case(&allowed)).unwrap();
        }
    }
    lines
}

/// What is sent, and what the grammar finds in it.
fn case(allowed: &AllowedHttp<'_>) -> serde_json::Value {
    let (origin, target) = (allowed.origin(), allowed.target());
    let fields: Vec<(&str, &str)> = allowed
        .fields()
        .all()
        .iter()
        .map(|field| (field.name.as_str(), std::str::from_utf8(&field.value).unwrap()))
        .collect();
    let mut head = format!("{} {} HTTP/1.1\r\nHost: {}\r\n", allowed.method(), target.as_str(), allowed.host_field());
    for (name, value) in &fields {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    head.push_str("\r\n");
    let host = origin.host.to_string();
    let port = if origin.port == origin.scheme.default_port() { String::new() } else { origin.port.to_string() };
    let names = target.query().map(|query| query.names().ok().map(<[String]>::to_vec));
    json!({
        "Head": head,
        "Method": allowed.method().as_str(),
        "Target": target.as_str(),
        "URL": format!("{origin}{}", target.as_str()),
        "HostField": allowed.host_field(),
        "Host": host.trim_matches(['[', ']']),
        "Literal": origin.host.address().is_some(),
        "Port": port,
        "Path": target.path(),
        "Decoded": format!("/{}", target.segments().join("/")),
        "Query": target.as_str().split_once('?').map_or("", |(_, query)| query),
        "Names": names.clone().flatten().unwrap_or_default(),
        "Certain": names.is_none_or(|names| names.is_some()),
        "Fields": fields,
        "ContentLength": allowed.fields().content_length().map_or(-1, |length| i64::try_from(length).unwrap()),
    })
}

/// All of it that a grant can say.
fn wide() -> NetworkGrants {
    let grant = RawHttpGrant {
        methods: words(&["GET", "POST", "M-SEARCH"]),
        encoded_slash: true,
        semicolon: true,
        ..get(&["/**"], &[])
    };
    let keys = [
        "https://**.api.test",
        "https://api.test",
        "http://**.api.test:8080",
        "http://api.test",
        "https://api.test:8443",
        "https://1.1.1.1",
        "https://[2606:4700::1]",
        "http://[2606:4700::1]:8080",
    ];
    let http = keys.map(|key| (key.to_owned(), grant.clone())).into();
    load(RawNetworkGrants { http, ..RawNetworkGrants::default() }).unwrap()
}

/// One of `plain`, often with a piece put in somewhere.
fn text(chance: &mut Chance, plain: &[&str], pieces: &[&str]) -> String {
    let mut text = chance.pick(plain).to_owned();
    while chance.below(3) == 0 {
        let places: Vec<usize> = text.char_indices().map(|(place, _)| place).chain([text.len()]).collect();
        text.insert_str(chance.pick(&places), chance.pick(pieces));
    }
    text
}

fn target(chance: &mut Chance) -> String {
    let mut target = String::new();
    for _segment in 0..=chance.below(3) {
        target.push('/');
        target.push_str(&text(chance, &SEGMENTS, &PATH_PIECES));
    }
    if chance.below(3) == 0 {
        target.push('?');
        for part in 0..chance.below(4) {
            target.push_str(if part == 0 { "" } else { "&" });
            target.push_str(&text(chance, &["a", "a=1", "a[]=2", "b=%26"], &QUERY_PIECES));
        }
    }
    target
}

fn fields(chance: &mut Chance) -> Vec<(String, String)> {
    let field = |chance: &mut Chance| {
        let name =
            text(chance, &["accept", "X-Key", "x!#$%&'*+.^_`|~", "Content-Length"], &["-", "_", ".", ":", " ", "\0"]);
        let value = text(chance, &["1", "a b", "\"x\"", ""], &[" ", "\t", ",", "\r\n", "ü", ";"]);
        (name, value)
    };
    (0..chance.below(3)).map(|_| field(chance)).collect()
}

/// Addresses that are public by our tables, around all that are not: one in each line.
fn public_addresses() -> String {
    let starts: [u128; 12] = [
        0,
        0xffff_0000_0000,
        0x0064_ff9b << 96,
        0x2000 << 112,
        0x2001 << 112,
        0x2001_0200 << 96,
        0x2002 << 112,
        0x2606_4700 << 96,
        0x2620_004f_8000 << 80,
        0x3ffe << 112,
        0x3fff << 112,
        0xfd00 << 112,
    ];
    let mut lines = String::new();
    for round in 0..ROUNDS {
        let mut chance = Chance::of(65, round);
        let low = u32::try_from(chance.below(1 << 32)).unwrap();
        let bits = chance.pick(&starts) ^ u128::from(low) ^ (u128::from(chance.below(4)) << chance.below(120));
        for address in [IpAddr::V6(Ipv6Addr::from(bits)), IpAddr::V4(Ipv4Addr::from(low))] {
            if Addresses::PUBLIC.judge(address, false).is_ok() {
                writeln!(lines, "{address}").unwrap();
            }
        }
    }
    lines
}

fn here(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign").join(file)
}

/// Most of them are refused.
const ROUNDS: u64 = 40_000;

const HOSTS: [&str; 9] = [
    "api.test",
    "API.test",
    "a.api.test",
    "a.api.test:8080",
    "api.test:443",
    "api.test:8443",
    "1.1.1.1",
    "[2606:4700::1]",
    "[2606:4700::1]:8080",
];

const HOST_PIECES: [&str; 22] = [
    ".", "..", "-", "_", "xn--", "0x", "1", "127.1.", "@", ":", "%", "%2e", "[", "]", "/", "?", "#", "\\", "\0", " ",
    "ü", "\u{ff0e}",
];

const SEGMENTS: [&str; 10] = ["", "v1", "a.b", "%20", "%c3%bc", "~x", "a:b@c", "!$&'()*+,=", ".well-known", "x;y=1"];

const PATH_PIECES: [&str; 34] = [
    ".",
    "..",
    "/",
    "//",
    "%2f",
    "%2F",
    "%5c",
    "\\",
    "%2e",
    "%25",
    "%2525",
    "%61",
    "%3f",
    "%23",
    "%3b",
    ";",
    "..;",
    "%00",
    "%0a",
    "%7f",
    "%ff",
    "%c0%ae",
    "%",
    "%4",
    "#",
    "?",
    "*",
    "@",
    ":",
    "[",
    "|",
    " ",
    "ü",
    "%e2%80%a5",
];

const QUERY_PIECES: [&str; 20] =
    ["=", "&", ";", "+", "%20", "%61", "%", "%zz", "%00", "#", "?", "/", "..", "[", "]", "%5B", "|", "\"", "\\", "ü"];
