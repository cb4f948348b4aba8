//! How many bytes a system call wrote, without what varies by itself: times and the numbers of inodes and devices stand in
//! entries and messages with as many bytes as they need. They count as if they were 0.

use std::borrow::Cow;

use tollgate_audit::codec::{CHECK_BYTES, LENGTH_BYTES};
use tollgate_audit::{Entry, Fact, Pairs};

use crate::traced::SystemCall;

/// Bytes that a system call wrote; 0 if it is of another kind or failed.
pub(crate) fn bytes_written(call: &SystemCall<'_>) -> u64 {
    let Some(returned) = call.returned.filter(|_| WRITES.contains(&call.name)) else { return 0 };
    let data = text_of(call.arguments);
    returned - data.map_or(0, |data| varying(&data))
}

/// How many of the bytes are there because a time or a number of the file system is not 0.
fn varying(data: &[u8]) -> u64 {
    let bytes = of_frames(data).unwrap_or_else(|| of_wall_time(data));
    u64::try_from(bytes).expect("fewer than there are")
}

/// The same of frames of entries; none if these bytes are anything else.
fn of_frames(mut data: &[u8]) -> Option<usize> {
    let mut varying = 0;
    while !data.is_empty() {
        let (length, rest) = data.split_first_chunk::<LENGTH_BYTES>()?;
        let (entry, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        let (_check, rest) = rest.split_at_checked(CHECK_BYTES)?;
        varying += entry.len() - still(Entry::decode(entry).ok()?).encode().as_bytes().len();
        data = rest;
    }
    Some(varying)
}

/// An entry at time 0, on inode 0.
fn still(entry: Entry<'_>) -> Entry<'_> {
    match entry {
        Entry::Intent(mut intent) => {
            intent.at_us = 0;
            let facts = intent.facts.iter().map(|(name, fact)| {
                let is_of_file_system = matches!(name, "device" | "inode");
                (Cow::Owned(name.to_owned()), if is_of_file_system { Fact::Uint(0) } else { fact.clone() })
            });
            intent.facts = Pairs::new::<Cow<'_, str>>(facts.collect::<Vec<_>>());
            Entry::Intent(intent)
        }
        Entry::Outcome(mut outcome) => {
            outcome.at_us = 0;
            Entry::Outcome(outcome)
        }
        Entry::CallEnd(mut end) => {
            (end.at_us, end.usage.wall_us) = (0, 0);
            Entry::CallEnd(end)
        }
        other => other,
    }
}

/// The digits after the first of the time that a message between worker and supervisor says a call took.
fn of_wall_time(data: &[u8]) -> usize {
    let Some(place) = data.windows(WALL_TIME.len()).position(|bytes| bytes == WALL_TIME) else { return 0 };
    let number = &data[place + WALL_TIME.len()..];
    number.iter().take_while(|byte| byte.is_ascii_digit()).count().saturating_sub(1)
}

/// The first text among the arguments of a system call, which strace has in hexadecimal: `"\x61\x62"`.
fn text_of(arguments: &str) -> Option<Vec<u8>> {
    let (_, text) = arguments.split_once('"')?;
    let (text, _) = text.split_once('"')?;
    let bytes = text.split("\\x").skip(1).map(|byte| u8::from_str_radix(byte, 16).ok());
    bytes.collect()
}

const WALL_TIME: &[u8] = br#""wall_us":"#;

const WRITES: [&str; 8] = ["write", "pwrite64", "writev", "pwritev", "pwritev2", "sendto", "sendmsg", "sendmmsg"];
