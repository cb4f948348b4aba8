//! Reads each kind of entry, the mirror of `encode`.
//!
//! It must accept nothing that `encode` cannot produce.

use std::borrow::Cow;

use crate::codec::form::{ARRAY, SIMPLE, TEXT};
use crate::codec::reader::{DecodeError, Reader};
use crate::codec::{ENTRY_VERSION, key};
use crate::confinement::{BlockedCall, ENFORCEMENT_POLICIES_MAX, Enforcement, KernelRecord, Level, ThreadName};
use crate::entry::{
    Action, CLOSER_SEQUENCES_MAX, Call, CallClass, CallEnd, Claims, Closer, Durability, Entry, Erasure, Fact, Intent,
    KeyRotation, Kind, Layer, LedgerKey, LedgerOpened, Outcome, Policy, Recorded, Reload, Usage, Verdict, Violation,
};
use crate::ids::{CallId, Digest, LeafIndex, PublicKey, RootHash, Sequence, Signature, TreeSize, WriterId};
use crate::pairs::Pairs;
use crate::takeover::{Adoption, Takeover};

pub(super) fn entry<'b, 'o>(bytes: &'b [u8], keep: fn(&'b str) -> Cow<'o, str>) -> Result<Entry<'o>, DecodeError> {
    let mut r = Reader::start(bytes, keep)?;
    let version = r.uint(key::VERSION)?;
    if version != ENTRY_VERSION {
        return Err(DecodeError::Version { found: version });
    }
    let kind = number(&mut r, key::KIND, "kind", Kind::from_number)?;
    let entry = match kind {
        Kind::LedgerOpened | Kind::KeyRotated => Entry::LedgerOpened(ledger_opened(&mut r, kind)?),
        Kind::Policy => Entry::Policy(policy(&mut r)?),
        Kind::Call => Entry::Call(call(&mut r)?),
        Kind::Intent => Entry::Intent(intent(&mut r)?),
        Kind::Outcome => Entry::Outcome(outcome(&mut r)?),
        Kind::Violation => Entry::Violation(violation(&mut r)?),
        Kind::CallEnd => Entry::CallEnd(call_end(&mut r)?),
        Kind::Closer => Entry::Closer(closer(&mut r)?),
        Kind::Erasure => Entry::Erasure(erasure(&mut r)?),
        Kind::Enforcement => Entry::Enforcement(enforcement(&mut r)?),
        Kind::BlockedCall => Entry::BlockedCall(blocked_call(&mut r)?),
        Kind::KernelRecord => Entry::KernelRecord(kernel_record(&mut r)?),
        Kind::Takeover => Entry::Takeover(takeover(&mut r)?),
        Kind::Adoption => Entry::Adoption(adoption(&mut r)?),
        Kind::Reload => Entry::Reload(reload(&mut r)?),
    };
    r.end()?;
    Ok(entry)
}

// Fields are read in the order in which they are written below: the order of their keys.

fn ledger_opened<'o>(r: &mut Reader<'_, 'o>, kind: Kind) -> Result<LedgerOpened<'o>, DecodeError> {
    Ok(LedgerOpened {
        time_ns: r.uint(key::TIME_NS)?,
        origin: r.text(key::ORIGIN)?,
        software: r.text(key::SOFTWARE)?,
        key: ledger_key(r, kind)?,
    })
}

fn ledger_key(r: &mut Reader<'_, '_>, kind: Kind) -> Result<LedgerKey, DecodeError> {
    let public = PublicKey(r.bytes(key::PUBLIC_KEY)?);
    if kind != Kind::KeyRotated {
        return Ok(LedgerKey { public, rotated: None });
    }
    let rotation = KeyRotation {
        old_key: PublicKey(r.bytes(key::OLD_PUBLIC_KEY)?),
        signature: Signature(r.bytes(key::SIGNATURE)?),
        old_signature: Signature(r.bytes(key::OLD_SIGNATURE)?),
    };
    Ok(LedgerKey { public, rotated: Some(Box::new(rotation)) })
}

fn policy<'o>(r: &mut Reader<'_, 'o>) -> Result<Policy<'o>, DecodeError> {
    let left_out = r.left_out(key::LEFT_OUT)?;
    Ok(Policy {
        tool: r.text(key::TOOL)?,
        digest: Digest(r.bytes(key::CAPABILITY_SET)?),
        manifest: Digest(r.bytes(key::MANIFEST)?),
        grant: Digest(r.bytes(key::GRANT)?),
        by: r.text(key::BY)?,
        folders: Pairs::read(r.pairs(key::FOLDERS, Reader::item_text)?, left_out),
        declared: r.optional_text(key::DECLARED)?,
    })
}

fn call<'o>(r: &mut Reader<'_, 'o>) -> Result<Call<'o>, DecodeError> {
    let call = CallId(r.bytes(key::CALL)?);
    let mut entry = Call {
        call,
        time_ns: r.uint(key::TIME_NS)?,
        tool: r.text(key::TOOL)?,
        version: r.text(key::TOOL_VERSION)?,
        component: Digest(r.bytes(key::COMPONENT)?),
        operation: r.text(key::OPERATION)?,
        claims: Claims {
            agent: r.optional_text(key::CLAIMED_AGENT)?,
            session: r.optional_text(key::CLAIMED_SESSION)?,
            decision: r.optional_text(key::DECISION)?,
            reason: r.optional_text(key::REASON)?,
            trace: None,
        },
        arguments: r
            .optional_bytes(key::ARGUMENTS)?
            .map_or(Recorded::Nothing, |digest| Recorded::Salted(Digest(digest))),
        arguments_bytes: r.uint(key::ARGUMENTS_BYTES)?,
        capability_set: Digest(r.bytes(key::CAPABILITY_SET)?),
        writer: match r.optional_bytes(key::WRITER)?.map(WriterId) {
            None => call.issuer(),
            // The one that gave the call its id has one form only: no key.
            Some(writer) if writer == call.issuer() => return Err(r.value("writer")),
            Some(writer) => writer,
        },
        agent: r.optional_text(key::AGENT)?,
        session: r.optional_text(key::SESSION)?,
    };
    entry.claims.trace = r.optional_text(key::TRACE)?;
    Ok(entry)
}

fn intent<'o>(r: &mut Reader<'_, 'o>) -> Result<Intent<'o>, DecodeError> {
    let call = CallId(r.bytes(key::CALL)?);
    let seq = sequence(r, key::SEQ)?;
    let at_us = r.uint(key::AT_US)?;
    let function = r.text(key::FUNCTION)?;
    let facts = r.pairs(key::FACTS, fact)?;
    let verdict = number(r, key::VERDICT, "verdict", Verdict::from_number)?;
    let rule = r.text(key::RULE)?;
    let facts = Pairs::read(facts, r.left_out(key::LEFT_OUT)?);
    let durability = match r.optional_uint(key::DURABILITY)? {
        None => Durability::Pipe,
        // What is not on disk has one form only: no key.
        Some(number) => Durability::from_number(number)
            .filter(|durability| *durability != Durability::Pipe)
            .ok_or_else(|| r.value("durability"))?,
    };
    Ok(Intent { call, seq, at_us, function, facts, verdict, rule, durability })
}

fn fact<'o>(r: &mut Reader<'_, 'o>) -> Result<Fact<'o>, DecodeError> {
    if r.at(SIMPLE) {
        r.item_bool().map(Fact::Bool)
    } else if r.at(TEXT) || r.at(ARRAY) {
        r.item_text().map(Fact::Text)
    } else {
        r.item_uint().map(Fact::Uint)
    }
}

fn outcome<'o>(r: &mut Reader<'_, 'o>) -> Result<Outcome<'o>, DecodeError> {
    Ok(Outcome {
        call: CallId(r.bytes(key::CALL)?),
        seq: sequence(r, key::SEQ)?,
        of: sequence(r, key::OF)?,
        at_us: r.uint(key::AT_US)?,
        result: r.text(key::RESULT)?,
        bytes_read: r.uint(key::BYTES_READ)?,
        bytes_written: r.uint(key::BYTES_WRITTEN)?,
        calls: r.uint(key::CALLS)?,
    })
}

fn violation<'o>(r: &mut Reader<'_, 'o>) -> Result<Violation<'o>, DecodeError> {
    Ok(Violation {
        call: CallId(r.bytes(key::CALL)?),
        seq: sequence(r, key::SEQ)?,
        of: sequence(r, key::OF)?,
        at_us: r.uint(key::AT_US)?,
        function: r.text(key::FUNCTION)?,
        rule: r.text(key::RULE)?,
        layer: number(r, key::LAYER, "layer", Layer::from_number)?,
        action: number(r, key::ACTION, "action", Action::from_number)?,
        message: r.text(key::MESSAGE)?,
    })
}

fn call_end<'o>(r: &mut Reader<'_, 'o>) -> Result<CallEnd<'o>, DecodeError> {
    let call = CallId(r.bytes(key::CALL)?);
    let seq = sequence(r, key::SEQ)?;
    let at_us = r.uint(key::AT_US)?;
    let left_out = r.left_out(key::LEFT_OUT)?;
    Ok(CallEnd {
        call,
        seq,
        at_us,
        class: number(r, key::CLASS, "class", CallClass::from_number)?,
        detail: r.text(key::DETAIL)?,
        usage: usage(r)?,
        counters: Pairs::read(r.pairs(key::COUNTERS, Reader::item_uint)?, left_out),
        entries: u32_of(r, key::ENTRIES, "number of entries")?,
        root: RootHash(r.bytes(key::ROOT)?),
        result: r.optional_bytes(key::RESULT_DIGEST)?.map(Digest),
        cap: r.optional_text(key::CAP)?,
    })
}

fn usage(r: &mut Reader<'_, '_>) -> Result<Usage, DecodeError> {
    let numbers = r.uints(key::USAGE, USAGE_FIELDS)?;
    let Ok(numbers) = <[u64; USAGE_FIELDS]>::try_from(numbers) else {
        return Err(r.value("usage"));
    };
    let [fuel_used, fuel_cap, memory_peak_bytes, memory_cap_bytes, rest @ ..] = numbers;
    let [wall_us, deadline_us, output_bytes, stdio_bytes] = rest;
    Ok(Usage {
        fuel_used,
        fuel_cap,
        memory_peak_bytes,
        memory_cap_bytes,
        wall_us,
        deadline_us,
        output_bytes,
        stdio_bytes,
    })
}

fn closer<'o>(r: &mut Reader<'_, 'o>) -> Result<Closer<'o>, DecodeError> {
    let call = CallId(r.bytes(key::CALL)?);
    let numbers = r.uints(key::OF, CLOSER_SEQUENCES_MAX)?;
    let of = numbers.into_iter().map(|number| u32::try_from(number).map(Sequence)).collect();
    let Ok::<Vec<_>, _>(of) = of else {
        return Err(r.value("sequence"));
    };
    if !of.is_sorted_by(|earlier, later| earlier < later) {
        return Err(r.value("order of sequences"));
    }
    Ok(Closer { call, of, left_out: r.left_out(key::LEFT_OUT)?, reason: r.text(key::REASON)? })
}

fn erasure<'o>(r: &mut Reader<'_, 'o>) -> Result<Erasure<'o>, DecodeError> {
    Ok(Erasure {
        call: CallId(r.bytes(key::CALL)?),
        time_ns: r.uint(key::TIME_NS)?,
        reason: r.optional_text(key::REASON)?,
        by: r.text(key::BY)?,
    })
}

fn enforcement<'o>(r: &mut Reader<'_, 'o>) -> Result<Enforcement<'o>, DecodeError> {
    let time_ns = r.uint(key::TIME_NS)?;
    let policies_left_out = r.left_out(key::LEFT_OUT)?;
    Ok(Enforcement {
        writer: WriterId(r.bytes(key::WRITER)?),
        time_ns,
        level: number(r, key::LEVEL, "level", Level::from_number)?,
        required: number(r, key::REQUIRED, "required level", Level::from_number)?,
        landlock_abi: r.uint(key::LANDLOCK_ABI)?,
        handled_fs: r.uint(key::HANDLED_FS)?,
        handled_net: r.uint(key::HANDLED_NET)?,
        scoped: r.uint(key::SCOPED)?,
        threads: r.uint(key::THREADS)?,
        ruleset: Digest(r.bytes(key::RULESET)?),
        filter: Digest(r.bytes(key::FILTER)?),
        plan: Digest(r.bytes(key::PLAN)?),
        policies: policies(r)?,
        policies_left_out,
        self_test: r.text(key::SELF_TEST)?,
    })
}

fn policies(r: &mut Reader<'_, '_>) -> Result<Vec<Digest>, DecodeError> {
    let policies = r.byte_strings(key::POLICIES, ENFORCEMENT_POLICIES_MAX)?;
    if !policies.is_sorted_by(|earlier, later| earlier < later) {
        return Err(r.value("order of capability sets"));
    }
    Ok(policies.into_iter().map(Digest).collect())
}

fn blocked_call(r: &mut Reader<'_, '_>) -> Result<BlockedCall, DecodeError> {
    Ok(BlockedCall {
        call: r.optional_bytes(key::CALL)?.map(CallId),
        writer: WriterId(r.bytes(key::WRITER)?),
        thread: thread(r)?,
        number: r.uint(key::NUMBER)?,
        arch: r.uint(key::ARCH)?,
        arguments: registers(r)?,
        instruction: r.uint(key::INSTRUCTION)?,
    })
}

fn thread(r: &mut Reader<'_, '_>) -> Result<ThreadName, DecodeError> {
    let whole = r.str(key::THREAD)?;
    let name = ThreadName::new(whole);
    if name.as_str() == whole { Ok(name) } else { Err(r.value("thread")) }
}

fn registers(r: &mut Reader<'_, '_>) -> Result<[u64; REGISTERS], DecodeError> {
    let values = r.uints(key::REGISTERS, REGISTERS)?;
    <[u64; REGISTERS]>::try_from(values).map_err(|_fewer| r.value("arguments"))
}

fn kernel_record<'o>(r: &mut Reader<'_, 'o>) -> Result<KernelRecord<'o>, DecodeError> {
    Ok(KernelRecord {
        writer: WriterId(r.bytes(key::WRITER)?),
        process: r.uint(key::PROCESS)?,
        text: r.text(key::RECORD)?,
    })
}

fn takeover(r: &mut Reader<'_, '_>) -> Result<Takeover, DecodeError> {
    let time_ns = r.uint(key::TIME_NS)?;
    let (first, count) = (LeafIndex(r.uint(key::FIRST)?), r.uint(key::COUNT)?);
    if count == 0 { Err(r.value("count")) } else { Ok(Takeover { time_ns, first, count }) }
}

fn adoption<'o>(r: &mut Reader<'_, 'o>) -> Result<Adoption<'o>, DecodeError> {
    Ok(Adoption {
        time_ns: r.uint(key::TIME_NS)?,
        reason: r.text(key::REASON)?,
        by: r.text(key::BY)?,
        first: LeafIndex(r.uint(key::FIRST)?),
        count: r.uint(key::COUNT)?,
        known: match r.optional_uint(key::KNOWN_SIZE)? {
            Some(size) => Some((TreeSize(size), RootHash(r.bytes(key::KNOWN_ROOT)?))),
            None => None,
        },
    })
}

fn reload<'o>(r: &mut Reader<'_, 'o>) -> Result<Reload<'o>, DecodeError> {
    Ok(Reload {
        time_ns: r.uint(key::TIME_NS)?,
        refused: r.optional_text(key::REASON)?,
        by: r.text(key::BY)?,
        policy: Digest(r.bytes(key::POLICY_TEXT)?),
    })
}

fn sequence(r: &mut Reader<'_, '_>, key: u64) -> Result<Sequence, DecodeError> {
    u32_of(r, key, "sequence").map(Sequence)
}

fn u32_of(r: &mut Reader<'_, '_>, key: u64, field: &'static str) -> Result<u32, DecodeError> {
    number(r, key, field, |number| u32::try_from(number).ok())
}

fn number<T>(
    r: &mut Reader<'_, '_>,
    key: u64,
    field: &'static str,
    parse: impl Fn(u64) -> Option<T>,
) -> Result<T, DecodeError> {
    let number = r.uint(key)?;
    parse(number).ok_or_else(|| r.value(field))
}

const USAGE_FIELDS: usize = 8;
const REGISTERS: usize = 6;
