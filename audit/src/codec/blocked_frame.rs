//! The journal frame of a `blocked-call` entry, for a handler of `SIGSYS`.
//!
//! A signal may come at any instruction (`signal-safety(7)`): this must never allocate, take a lock, or panic. What it
//! writes is what [`Entry::encode`](crate::Entry::encode) and the journal write.

use super::{CHECK_BYTES, ENTRY_VERSION, LENGTH_BYTES, form, key};
use crate::confinement::{BlockedCall, THREAD_NAME_BYTES_MAX};
use crate::entry::Kind;
use crate::tree::leaf_hash;

/// Most bytes of such a frame; far below `PIPE_BUF`, so that one write to a pipe is atomic.
pub const BLOCKED_FRAME_BYTES_MAX: usize = LENGTH_BYTES + ENTRY_MAX + CHECK_BYTES;

/// Writes the whole frame of a `blocked-call` entry to the start of `out`; returns its length. Safe within a signal
/// handler: no memory, no locks, no panics.
#[must_use]
pub fn write_blocked_frame(out: &mut [u8; BLOCKED_FRAME_BYTES_MAX], blocked: &BlockedCall) -> usize {
    let BlockedCall { writer, call, thread, number, arch, arguments, instruction } = blocked;
    let mut w = Fixed { out, length: LENGTH_BYTES };
    w.head(form::MAP, if call.is_some() { FIELDS } else { FIELDS - 1 });
    w.uint(key::VERSION, ENTRY_VERSION);
    w.uint(key::KIND, Kind::BlockedCall.number());
    if let Some(call) = call {
        w.bytes(key::CALL, form::BYTES, &call.0);
    }
    w.bytes(key::WRITER, form::BYTES, &writer.0);
    w.bytes(key::THREAD, form::TEXT, thread.as_str().as_bytes());
    w.uint(key::NUMBER, *number);
    w.uint(key::ARCH, *arch);
    w.head(form::UINT, key::REGISTERS);
    w.head(form::ARRAY, arguments.len() as u64);
    arguments.iter().for_each(|argument| w.head(form::UINT, *argument));
    w.uint(key::INSTRUCTION, *instruction);
    w.finish()
}

/// A buffer that has room for all that is written.
struct Fixed<'o> {
    out: &'o mut [u8; BLOCKED_FRAME_BYTES_MAX],
    length: usize,
}

impl Fixed<'_> {
    fn uint(&mut self, key: u64, value: u64) {
        self.head(form::UINT, key);
        self.head(form::UINT, value);
    }

    fn bytes(&mut self, key: u64, major: u8, value: &[u8]) {
        self.head(form::UINT, key);
        self.head(major, value.len() as u64);
        self.push(value);
    }

    fn head(&mut self, major: u8, argument: u64) {
        let (head, length) = form::head(major, argument);
        self.push(head.get(..length).unwrap_or_default());
    }

    fn push(&mut self, bytes: &[u8]) {
        let place = self.out.get_mut(self.length..).unwrap_or_default();
        for (to, from) in place.iter_mut().zip(bytes) {
            *to = *from;
            self.length += 1;
        }
    }

    fn finish(mut self) -> usize {
        let entry = self.out.get(LENGTH_BYTES..self.length).unwrap_or_default();
        let [c0, c1, c2, c3, ..] = leaf_hash(entry).0;
        let length = u16::try_from(entry.len()).unwrap_or(u16::MAX);
        self.push(&[c0, c1, c2, c3]);
        if let Some(place) = self.out.first_chunk_mut() {
            *place = length.to_be_bytes();
        }
        self.length
    }
}

/// Fields of an entry that names a call.
const FIELDS: u64 = 9;

const CALL_BYTES: usize = 16;
const HOST_BYTES: usize = 6;
const REGISTERS: usize = 6;

/// Heads of keys take at most 3 bytes, of numbers 9, of short strings 1.
const ENTRY_MAX: usize = 1
    + 2 * 2
    + (1 + 1 + CALL_BYTES)
    + (2 + 1 + HOST_BYTES)
    + (2 + 1 + THREAD_NAME_BYTES_MAX)
    + 3 * (2 + 9 + 1)
    + (3 + 1 + REGISTERS * 9);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::confinement::ThreadName;
    use crate::entry::Entry;
    use crate::frame::push_frame;
    use crate::ids::{CallId, WriterId};

    fn frame(blocked: &BlockedCall) -> Vec<u8> {
        let mut out = [0xaa; BLOCKED_FRAME_BYTES_MAX];
        let length = write_blocked_frame(&mut out, blocked);
        out[..length].to_vec()
    }

    fn usual(blocked: &BlockedCall) -> Vec<u8> {
        let mut out = Vec::new();
        push_frame(&mut out, &Entry::BlockedCall(*blocked).encode());
        out
    }

    #[test]
    fn the_largest_fits() {
        let blocked = BlockedCall {
            writer: WriterId([0xff; 6]),
            call: Some(CallId([0xff; 16])),
            thread: ThreadName::new(&"x".repeat(100)),
            number: u64::MAX,
            arch: u64::MAX,
            arguments: [u64::MAX; 6],
            instruction: u64::MAX,
        };
        assert_eq!(frame(&blocked), usual(&blocked));
        assert!(frame(&blocked).len() <= BLOCKED_FRAME_BYTES_MAX);
        const { assert!(BLOCKED_FRAME_BYTES_MAX <= rustix::pipe::PIPE_BUF) };
    }

    /// Numbers of every length.
    fn numbers() -> impl Strategy<Value = u64> {
        (any::<u64>(), 0..64_u32).prop_map(|(number, shift)| number >> shift)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_is_what_the_usual_way_writes(
            writer in any::<[u8; 6]>(),
            call in prop::option::of(any::<[u8; 16]>()),
            thread in "\\PC{0,20}",
            number in numbers(),
            arch in numbers(),
            arguments in prop::array::uniform6(numbers()),
            instruction in numbers(),
        ) {
            let thread = ThreadName::new(&thread);
            let call = call.map(CallId);
            let blocked = BlockedCall { writer: WriterId(writer), call, thread, number, arch, arguments, instruction };
            prop_assert_eq!(frame(&blocked), usual(&blocked));
        }
    }
}
