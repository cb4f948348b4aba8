//! What the writer keeps of the journal in memory: the tree's edge, the calls that are open, and places from which
//! recovery could go on. All of it is bounded, whatever the number of entries.

use std::collections::{HashMap, VecDeque};

use tollgate_audit::codec::kind_and_call;
use tollgate_audit::entry::Kind;
use tollgate_audit::ids::{CallId, LeafHash};
use tollgate_audit::state::Resume;
use tollgate_audit::tree::Frontier;

#[derive(Debug, Default)]
pub(crate) struct Tail {
    pub(crate) frontier: Frontier,
    /// Length of the journal up to here.
    pub(crate) journal_bytes: u64,
    // Where each open call starts.
    open: HashMap<CallId, Resume>,
    // Rising.
    marks: VecDeque<Resume>,
}

impl Tail {
    /// The tail of a journal that is read from `start` on, where its tree had this `frontier`.
    pub(crate) fn starting_at(start: Resume, frontier: Frontier) -> Self {
        Self { frontier, journal_bytes: start.offset, open: HashMap::new(), marks: VecDeque::from([start]) }
    }

    /// Takes the next entry, whose frame has `frame_bytes` bytes.
    pub(crate) fn push(&mut self, entry: &[u8], leaf: LeafHash, frame_bytes: u64) {
        let here = Resume { index: self.frontier.size().0, offset: self.journal_bytes };
        if here.index.is_multiple_of(MARK_ENTRIES) {
            self.mark(here);
        }
        match kind_and_call(entry) {
            Some((Kind::Call, Some(call))) => drop(self.open.insert(call, here)),
            Some((Kind::CallEnd | Kind::Closer, Some(call))) => drop(self.open.remove(&call)),
            _ => {}
        }
        self.frontier.append(leaf);
        self.journal_bytes += frame_bytes;
    }

    /// The latest place from which recovery would see every open call from its start.
    pub(crate) fn resume(&mut self) -> Resume {
        let oldest = self.open.values().map(|start| start.index).min().unwrap_or(u64::MAX);
        let usable = self.marks.iter().take_while(|mark| mark.index <= oldest).count();
        self.marks.drain(..usable.saturating_sub(1));
        self.marks.front().copied().filter(|mark| mark.index <= oldest).unwrap_or_default()
    }

    fn mark(&mut self, here: Resume) {
        if self.marks.back() == Some(&here) {
            return;
        }
        if self.marks.len() >= MARKS_MAX {
            let mut keep = false;
            self.marks.retain(|_| {
                keep = !keep;
                keep
            });
        }
        self.marks.push_back(here);
    }
}

/// Entries between two marks: a multiple of the tile width.
const MARK_ENTRIES: u64 = 4096;

/// Beyond, every other mark goes: recovery then starts a little earlier.
const MARKS_MAX: usize = 1024;
