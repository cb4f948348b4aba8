//! A line of a daemon's as a client reads it.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use tollgate_client::parse::{Said, daemon_line as read};

/// What is taken is one JSON object by another reader too, with this id, and an answer's output is a part of the line byte by byte.
/// What is refused is refused in few words, none of which are the line's.
pub fn daemon_line(bytes: &[u8]) {
    match read(bytes) {
        Ok(said) => is_said(bytes, &said),
        Err(why) => is_ours(&why),
    }
}

fn is_said(line: &[u8], said: &Said<'_>) {
    let first = line.iter().find(|byte| !byte.is_ascii_whitespace());
    assert_eq!(first, Some(&b'{'));
    // Text that nobody looks at may be none.
    let Ok(members) = serde_json::from_slice::<BTreeMap<String, Box<RawValue>>>(line) else { return };
    assert_eq!(serde_json::from_str::<String>(members["jsonrpc"].get()).ok().as_deref(), Some("2.0"));
    let id = |name: &str| members.get(name).and_then(|id| serde_json::from_str::<u64>(id.get()).ok());
    match said {
        Said::Result { id: request, result, reply, tools } => {
            assert_eq!((Some(*request), result.get()), (id("id"), members["result"].get()));
            match reply.as_ref() {
                Ok(reply) => assert!(result.get().contains(&reply.output), "{}", reply.output),
                Err(why) => is_ours(why),
            }
            tools.as_ref().err().into_iter().for_each(|why| is_ours(why));
        }
        Said::Failed { id: request, .. } => {
            assert_eq!(*request, id("id"));
            assert!(members.contains_key("error"));
        }
        Said::Log { .. } | Said::Unknown => assert!(members.contains_key("method") && id("id").is_none()),
    }
}

fn is_ours(why: &str) {
    assert!(!why.is_empty() && why.len() < 120, "{why}");
    assert!(why.chars().all(|c| c.is_ascii_graphic() || c == ' '), "{why:?}");
}
