//! Lists of very many tools.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;

use serde_json::json;

use crate::heap::{count_most, most_bytes_since};
use crate::lab::DaemonLab;
use crate::replaced::{TOOL, Version};

/// A tool is read when a list comes to it, and let go of behind it: what is in use at a time is of the answer. An answer is bounded.
pub(crate) fn a_list_holds_what_it_tells() {
    let folder = tempfile::tempdir().expect("a folder");
    let version = Version::write(folder.path(), 0);
    let text = fs::read_to_string(&version.manifest).expect("a file");
    let long = format!("version = \"0.1.0\"\ndescription = \"{}\"\n", "x".repeat(4_000));
    fs::write(&version.manifest, text.replace("version = \"0.1.0\"\n", &long)).expect("a file");
    let lab = DaemonLab::new(&[], "");
    lab.install(TOOL, &version.component, &version.manifest);
    (1..TOOLS).for_each(|number| lab.install_again(TOOL, &format!("tool-{number}")));
    // Each operation says what it is for, so that the tool's own description is in no entry of these.
    for format in ["mcp", "openai", "anthropic", "gemini"] {
        let before = count_most();
        let bytes = asked(&lab, format);
        let most = most_bytes_since(before);
        println!("a_list_holds_what_it_tells: {format}: {bytes} bytes, {most} in use");
        assert!(bytes > TOOLS * 50, "{format}: {bytes}");
        assert!(most < HELD_MAX, "{format}: {most} bytes in use");
    }
    let mut client = lab.connect();
    let answer = client.ask("tools", &json!({}));
    let result = &answer["result"];
    let count = |key: &str| result[key].as_array().map_or(0, Vec::len);
    let left_out = usize::try_from(result["left_out"].as_u64().expect("a number")).expect("a number");
    assert_eq!((count("tools") + left_out, count("unavailable")), (TOOLS, 0));
    assert!(count("tools") > 1_000 && left_out > 0, "{left_out}");
    assert!(result.to_string().len() <= LIST_BYTES_MAX + 100, "{}", result.to_string().len());
    lab.end();
}

/// Asks for a list in a form; how many bytes came back, none of which is kept.
fn asked(lab: &DaemonLab, format: &str) -> usize {
    let mut stream = UnixStream::connect(lab.socket()).expect("a daemon");
    let head = format!("GET /v1/tools?format={format} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("a daemon that hears");
    let mut reader = BufReader::new(stream);
    let mut status = String::new();
    reader.read_line(&mut status).expect("an answer");
    assert!(status.starts_with("HTTP/1.1 200"), "{status}");
    let (mut bytes, mut buffer) = (0, [0; 4096]);
    loop {
        match reader.read(&mut buffer).expect("an answer") {
            0 => return bytes,
            read => bytes += read,
        }
    }
}

const TOOLS: usize = 3_000;

/// The most of an answer by lines (`tollgate::offers::LIST_BYTES_MAX`).
const LIST_BYTES_MAX: usize = 8 << 20;

/// The answer some times over, and what is kept of 512 tools; the descriptions of all would have 12 MB.
const HELD_MAX: i64 = 8 << 20;
