//! What is recorded: the ledger's files, its key, and the way to the notary.

use std::ffi::CString;

use libc::EACCES;
use tollgate_audit::{
    Call, CallId, Claims, Closer, Digest, EncodedEntry, Enforcement, Entry, Erasure, KernelRecord, LedgerKey,
    LedgerOpened, Level, PublicKey, Recorded, WriterId,
};

use tollgate_notary::Lease;

use super::ground::{Ground, text};
use super::raw::{Miss, Reply, open2, raw};
use super::{Alone, Attack, Stop};

const NO_NOTARY: Alone = Alone::Never("there is no notary to judge it");

/// A call that is there only where a folder is granted, and then Landlock has the word.
const fn landlocked(name: &'static str, what: &'static str, number: i64, run: fn(&Ground) -> Reply) -> Attack {
    Attack::blocked(name, what, number, run).with_folder(Stop::Landlock(EACCES))
}

/// Bytes that the notary must not take; `stop` is part of what it says of them.
const fn condemned(name: &'static str, what: &'static str, stop: &'static str, run: fn(&Ground) -> Reply) -> Attack {
    Attack::new(name, what, Stop::Notary(stop), run).alone(NO_NOTARY)
}

pub(super) const ATTACKS: &[Attack] = &[
    landlocked("write-journal", "write the ledger's journal", libc::SYS_openat2, |ground| {
        open2(&journal(ground)?, libc::O_WRONLY)
    }),
    landlocked("read-journal", "read what other tools did", libc::SYS_openat2, |ground| {
        open2(&journal(ground)?, libc::O_RDONLY)
    }),
    #[cfg(target_arch = "x86_64")]
    Attack::blocked("open-journal", "write the ledger's journal by open(2)", libc::SYS_open, |ground| {
        raw!(libc::SYS_open, &journal(ground)?, libc::O_WRONLY)
    }),
    Attack::blocked("cut-journal", "cut the ledger's journal", libc::SYS_truncate, |ground| {
        raw!(libc::SYS_truncate, &journal(ground)?, 0)
    })
    .alone(Alone::Never("the journal would be gone")),
    landlocked("remove-journal", "remove the ledger's journal", libc::SYS_unlinkat, |ground| {
        raw!(libc::SYS_unlinkat, libc::AT_FDCWD, &journal(ground)?, 0)
    })
    .alone(Alone::Never("the journal would be gone")),
    landlocked("replace-journal", "put a granted file in the journal's place", libc::SYS_renameat2, |ground| {
        let (from, to) = (ground.inside("inside")?, journal(ground)?);
        raw!(libc::SYS_renameat2, libc::AT_FDCWD, &from, libc::AT_FDCWD, &to, 0)
    })
    .alone(Alone::Never("the journal would be gone")),
    landlocked("read-key", "read the ledger's key", libc::SYS_openat2, |ground| {
        open2(&text(&ground.aim.ledger_key)?, libc::O_RDONLY)
    }),
    landlocked("read-side-store", "read arguments and results of other calls", libc::SYS_openat2, |ground| {
        open2(&text(&ground.aim.side_store)?, libc::O_RDONLY)
    }),
    landlocked("write-side-store", "change arguments and results of other calls", libc::SYS_openat2, |ground| {
        open2(&text(&ground.aim.side_store)?, libc::O_RDWR)
    }),
    landlocked("list-ledger", "list the ledger's folder", libc::SYS_openat2, |ground| {
        open2(&text(&ground.aim.ledger)?, libc::O_RDONLY | libc::O_DIRECTORY)
    }),
    Attack::new(
        "read-pipe",
        "read its own entries back out of the pipe",
        Stop::Absent(libc::EBADF, "a worker holds the end to write to"),
        |ground| {
            let mut bytes = [0_u64; 8];
            raw!(libc::SYS_read, ground.held.pipe, &mut bytes, 64)
        },
    )
    .not_in_gateway("it has no pipe to the notary")
    .alone(Alone::Depends("it holds the end to write to")),
    Attack::blocked("reopen-pipe", "open the pipe's other end by /proc/self/fd", libc::SYS_openat2, |ground| {
        open2(&Ground::by_proc(ground.held.pipe)?, libc::O_RDONLY | libc::O_NONBLOCK)
    })
    .with_folder(Stop::Absent(
        EACCES,
        "the pipe's mode lets nobody open it, and the worker has no capability to pass it",
    )),
    Attack::blocked(
        "reopen-socket",
        "open the socket to the notary anew by /proc/self/fd",
        libc::SYS_openat2,
        |ground| open2(&Ground::by_proc(ground.held.acks)?, libc::O_RDWR),
    )
    .with_folder(Stop::Absent(libc::ENXIO, "sockets cannot be opened by a path"))
    .alone(Alone::Depends("sockets cannot be opened by a path")),
    Attack::blocked("splice-pipe", "move entries out of the pipe", libc::SYS_splice, |ground| {
        raw!(libc::SYS_splice, ground.held.pipe, 0, ground.held.connection, 0, 16, libc::SPLICE_F_NONBLOCK)
    })
    .alone(Alone::Depends("it holds the end to write to")),
    Attack::blocked("tee-pipe", "copy entries out of the pipe", libc::SYS_tee, |ground| {
        raw!(libc::SYS_tee, ground.held.pipe, ground.held.pipe, 16, libc::SPLICE_F_NONBLOCK)
    })
    .alone(Alone::Depends("it holds the end to write to")),
    Attack::blocked(
        "vmsplice-pipe",
        "put memory into the pipe that it can change afterwards",
        libc::SYS_vmsplice,
        |ground| {
            let bytes = [0_u8; 16];
            let parts = [bytes.as_ptr().expose_provenance() as u64, 16];
            raw!(libc::SYS_vmsplice, ground.held.pipe, &parts, 1, libc::SPLICE_F_NONBLOCK)
        },
    ),
    Attack::blocked("shrink-pipe", "make the pipe smaller (F_SETPIPE_SZ)", libc::SYS_fcntl, |ground| {
        raw!(libc::SYS_fcntl, ground.held.pipe, libc::F_SETPIPE_SZ, 4096)
    }),
    Attack::blocked("packet-pipe", "have the pipe keep packets (O_DIRECT)", libc::SYS_fcntl, |ground| {
        raw!(libc::SYS_fcntl, ground.held.pipe, libc::F_SETFL, libc::O_DIRECT | libc::O_NONBLOCK)
    }),
    Attack::blocked("ask-pipe", "ask how much the notary has not taken yet", libc::SYS_ioctl, |ground| {
        let mut bytes = [0_u32; 1];
        raw!(libc::SYS_ioctl, ground.held.pipe, libc::FIONREAD, &mut bytes)
    }),
    condemned("garbage", "write bytes that are no frame", "bytes that are no frame", |ground| {
        write(ground, &[0xff; 64])
    }),
    condemned("empty-frame", "write a frame without an entry", "bytes that are no frame", |ground| {
        write(ground, &[0; 6])
    }),
    condemned("wrong-check", "write an entry with a wrong check", "bytes that are no frame", |ground| {
        let mut frame = frame(&closer(given(ground, REPLAYED)?));
        if let Some(last) = frame.last_mut() {
            *last ^= 1;
        }
        write(ground, &frame)
    }),
    condemned("no-entry", "write a frame that holds no entry", "a frame that holds no entry", |ground| {
        let leaf = tollgate_audit::leaf_hash(&[0xf6]);
        let [c0, c1, c2, c3, ..] = leaf.0;
        write(ground, &[0, 1, 0xf6, c0, c1, c2, c3])
    }),
    condemned("half-frame", "write half a frame, and no more", "an unfinished frame", |ground| {
        let frame = frame(&closer(given(ground, REPLAYED)?));
        write(ground, frame.get(..frame.len() / 2).unwrap_or_default())
    }),
    condemned("other-worker", "write an entry of another worker's call", "which is another one", |ground| {
        let mut other = ground.writer()?.0;
        other.0[0] ^= 1;
        write(ground, &frame(&start(other, given(ground, REPLAYED)?)))
    }),
    condemned("other-call", "start a call that was given to another worker", "which was not given to it", |ground| {
        write(ground, &frame(&start(ground.writer()?.0, given(ground, MORE_CALLS_THAN_A_LEASE_HAS)?)))
    }),
    condemned("close-own-call", "write that a call was closed", "which is not its to write", |ground| {
        write(ground, &frame(&closer(given(ground, REPLAYED)?)))
    }),
    condemned("erase", "write that private texts were erased", "which is not its to write", |ground| {
        let erasure = Erasure { call: given(ground, 0)?, time_ns: 0, by: "drill".into(), reason: None };
        write(ground, &frame(&Entry::Erasure(erasure).encode()))
    }),
    condemned(
        "open-ledger",
        "write that the ledger was opened, under another key",
        "which is not its to write",
        |ground| {
            let key = LedgerKey { public: PublicKey([0; 32]), rotated: None };
            let opened = LedgerOpened { origin: "drill".into(), software: "drill".into(), time_ns: 0, key };
            write(ground, &frame(&Entry::LedgerOpened(opened).encode()))
        },
    ),
    condemned("forge-kernel", "write a record in the kernel's name", "which is not its to write", |ground| {
        let record = KernelRecord { writer: ground.writer()?.0, process: 1, text: "drill".into() };
        write(ground, &frame(&Entry::KernelRecord(record).encode()))
    }),
    condemned("seal-again", "write that it is sealed otherwise than it is", "entries that make no sense", |ground| {
        let none = Digest([0; 32]);
        let enforcement = Enforcement {
            writer: ground.writer()?.0,
            time_ns: 0,
            level: Level::Full,
            required: Level::Full,
            landlock_abi: 99,
            handled_fs: 0,
            handled_net: 0,
            scoped: 0,
            threads: 1,
            ruleset: none,
            filter: none,
            plan: none,
            policies: Vec::new(),
            policies_left_out: 0,
            self_test: "drill".into(),
        };
        write(ground, &frame(&Entry::Enforcement(enforcement).encode()))
    }),
    condemned("replay", "start a call a second time", "a second time", |ground| {
        let frame = frame(&start(ground.writer()?.0, given(ground, REPLAYED)?));
        write(ground, &frame)?;
        write(ground, &frame)
    }),
    condemned("many-calls", "start more calls than it was given", "which was not given to it", |ground| {
        for count in 0..MORE_CALLS_THAN_A_LEASE_HAS {
            let frame = frame(&start(ground.writer()?.0, given(ground, REPLAYED + 1 + count)?));
            while_full(|| write(ground, &frame))?;
        }
        Ok(0)
    }),
    condemned("garbage-question", "ask the notary what is no question", "a question that is none", |ground| {
        send(ground, &[0xff; 3])
    }),
    condemned("long-question", "ask the notary a question that is too long", "a question that is none", |ground| {
        send(ground, &[0; 4096])
    }),
    condemned("many-questions", "ask and never listen", "questions at once", |ground| {
        for token in 0..MORE_QUESTIONS_THAN_A_WORKER_HAS {
            let mut question = [0; 9];
            question[..8].copy_from_slice(&u64::from(token).to_le_bytes());
            while_full(|| send(ground, &question))?;
        }
        Ok(0)
    }),
    Attack::blocked("ignore-trap", "ignore the signal of the filter", libc::SYS_rt_sigaction, |_| {
        // struct kernel_sigaction: SIG_IGN, no flags, no restorer, an empty mask.
        raw!(libc::SYS_rt_sigaction, libc::SIGSYS, &[1_u64, 0, 0, 0], 0, 8)
    })
    .not_in_gateway("its filter answers by itself, without a signal"),
    Attack::new("block-trap", "block the signal of the filter, then make a socket", Stop::Killed(libc::SIGSYS), |_| {
        let signals = [1_u64 << (libc::SIGSYS - 1)];
        raw!(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, &signals, 0, 8)?;
        raw!(libc::SYS_socket, libc::AF_INET, libc::SOCK_STREAM, 0)
    })
    .in_gateway(Stop::Refused(libc::SYS_socket)),
    Attack::new(
        "trap-without-stack",
        "take the handler's stack, then make a socket",
        Stop::Killed(libc::SIGSEGV),
        |_| {
            // stack_t: where, flags, size. There is no memory there.
            raw!(libc::SYS_sigaltstack, &[4096_u64, 0, 1 << 20], 0)?;
            raw!(libc::SYS_socket, libc::AF_INET, libc::SOCK_STREAM, 0)
        },
    )
    .in_gateway(Stop::Refused(libc::SYS_socket)),
];

fn journal(ground: &Ground) -> Result<CString, Miss> {
    text(&ground.aim.ledger.join("journal"))
}

/// A frame of the journal, as a worker writes them: length, entry, the first bytes of its leaf hash.
fn frame(entry: &EncodedEntry) -> Vec<u8> {
    let bytes = entry.as_bytes();
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&length[..], bytes, entry.leaf().0.get(..4).unwrap_or_default()].concat()
}

fn write(ground: &Ground, bytes: &[u8]) -> Reply {
    raw!(libc::SYS_write, ground.held.pipe, bytes, bytes.len() as u64)
}

/// Again and again, until the notary has taken what is there: one that takes nothing more has this process ended.
fn while_full(tried: impl Fn() -> Reply) -> Reply {
    loop {
        match tried() {
            Err(Miss::Refused(libc::EAGAIN)) => std::thread::yield_now(),
            other => return other,
        }
    }
}

fn send(ground: &Ground, bytes: &[u8]) -> Reply {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    raw!(libc::SYS_sendto, ground.held.acks, bytes, bytes.len() as u64, flags, 0, 0)
}

/// The call that is so many numbers above the first that the worker may name.
fn given(ground: &Ground, above: u32) -> Result<CallId, Miss> {
    let Lease { issuer, first, .. } = ground.writer()?.1;
    Ok(CallId::new(0, issuer, first + above))
}

/// The start of a call.
fn start(writer: WriterId, call: CallId) -> EncodedEntry {
    Entry::Call(Call {
        call,
        writer,
        time_ns: 0,
        tool: "drill".into(),
        version: "0".into(),
        component: Digest([0; 32]),
        operation: "drill".into(),
        agent: None,
        session: None,
        claims: Claims::default(),
        arguments: Recorded::Nothing,
        arguments_bytes: 0,
        capability_set: Digest([0; 32]),
    })
    .encode()
}

/// That a call will never end.
fn closer(call: CallId) -> EncodedEntry {
    Entry::Closer(Closer { call, of: Vec::new(), left_out: 0, reason: "drill".into() }).encode()
}

/// Above the number of any call that a worker of the drill has had, and among those that it was given.
const REPLAYED: u32 = 1 << 9;

const MORE_CALLS_THAN_A_LEASE_HAS: u32 = 1 << 11;

const MORE_QUESTIONS_THAN_A_WORKER_HAS: u32 = 1 << 16;
