//! `tollgate audit show`.

use std::collections::VecDeque;
use std::io::{self, BufWriter, StdoutLock};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tollgate_audit::{Entry, LeafIndex};
use tollgate_report::{Context, Filter};

use super::args::ShowArgs;
use super::fault::AuditError;
use super::line::{json_line, text_line};
use super::reading::Reading;
use super::{one_call, private};
use crate::exit::{Exit, Failure};
use crate::output::{self, Reader};
use crate::progress;

pub(super) fn show(args: &ShowArgs, folder: &Path) -> Result<Exit, Failure> {
    let filter = args.filter.filter()?;
    let mut page = Page { out: BufWriter::new(io::stdout().lock()), left: args.limit };
    let mut printed = false;
    let (reading, damage) = if let Some(count) = args.last {
        let (reading, last) = progress::during_output(READING, || last(folder, &filter, count))?;
        for Chosen { index, entry, context } in last.chosen {
            printed = true;
            if !page.put(&line(args.json)(index, &entry, context.as_ref()))? {
                return page.end();
            }
        }
        (reading, last.damage)
    } else {
        let mut reading = Reading::start(folder, filter)?;
        let shown = progress::during_output(READING, || print_chosen(&mut reading, &mut page, args.json));
        let damage = match shown {
            Ok(None) => return page.end(),
            Ok(Some(any)) => {
                printed = any;
                None
            }
            Err(damage) => Some(damage),
        };
        (reading, damage)
    };
    output::flush(&mut page.out)?;
    match (damage, &args.filter.call) {
        (Some(damage), _) => return Err(damage),
        (None, _) if args.follow => return follow(reading, page, args.json),
        (None, Some(given)) if !printed && args.last != Some(0) => {
            reading.whole()?;
            return Err(Failure::usage(AuditError::NoCall { folder: folder.to_owned(), given: given.clone() }));
        }
        (None, Some(given)) if args.private => {
            page.put(&private::shown(folder, &one_call::find(folder, given)?, args.json)?)?;
        }
        (None, _) if !printed && args.last != Some(0) && !args.json => {
            let folder = output::one_line(&folder.display().to_string());
            output::eprint(&format!("nothing in the ledger in `{folder}` matches\n"));
        }
        (None, _) => {}
    }
    let exit = page.end()?;
    reading.whole()?;
    Ok(exit)
}

/// Prints what is chosen up to the ledger's end, and says whether there was any; `None` if no more is wanted before that.
fn print_chosen(reading: &mut Reading, page: &mut Page, json: bool) -> Result<Option<bool>, Failure> {
    let mut any = false;
    while let Some(line) = next_line(reading, json)? {
        if !page.put(&line)? {
            return Ok(None);
        }
        any = true;
    }
    Ok(Some(any))
}

fn next_line(reading: &mut Reading, json: bool) -> Result<Option<String>, Failure> {
    let Some((index, entry)) = reading.next_chosen()? else { return Ok(None) };
    Ok(Some(line(json)(index, &entry, reading.context())))
}

fn line(json: bool) -> fn(LeafIndex, &Entry<'_>, Option<&Context>) -> String {
    if json { json_line } else { text_line }
}

/// An entry that is chosen, and whose call it is of.
struct Chosen {
    index: LeafIndex,
    entry: Entry<'static>,
    context: Option<Context>,
}

/// The last entries that are chosen of those that were read.
#[derive(Default)]
struct Last {
    chosen: VecDeque<Chosen>,
    // The latest entry of which it cannot be told whether it is chosen, since the reading began behind what says so.
    untold: Option<LeafIndex>,
    damage: Option<Failure>,
}

/// The last `count` entries that are chosen, and the reading, which stands behind them. Of a long ledger no more is read than
/// what they and their calls are in, unless they are rare; of one call, from its start on.
fn last(folder: &Path, filter: &Filter, count: usize) -> Result<(Reading, Last), Failure> {
    let is_one = filter.call.as_ref().is_some_and(|call| call.whole().is_some());
    for bytes in NEAR_BYTES.into_iter().filter(|_| !is_one) {
        let Some(mut reading) = Reading::near_end(folder, filter.clone(), bytes) else { break };
        let last = Last::of(&mut reading, count);
        if last.is_whole(count) {
            return Ok((reading, last));
        }
    }
    let mut reading = Reading::start(folder, filter.clone())?;
    let last = Last::of(&mut reading, count);
    Ok((reading, last))
}

impl Last {
    fn of(reading: &mut Reading, count: usize) -> Self {
        let mut last = Self::default();
        loop {
            match reading.next() {
                Ok(Some((index, entry, is_chosen))) => {
                    if !reading.is_informed() {
                        last.untold = Some(index);
                    }
                    if is_chosen {
                        let context = reading.context().cloned();
                        last.chosen.push_back(Chosen { index, entry, context });
                    }
                    if last.chosen.len() > count {
                        last.chosen.pop_front();
                    }
                }
                Ok(None) => return last,
                Err(damage) => return Self { damage: Some(damage), ..last },
            }
        }
    }

    /// Whether reading from the ledger's start would give the same.
    fn is_whole(&self, count: usize) -> bool {
        let first = self.chosen.front().map(|chosen| chosen.index);
        let is_told = self.untold.is_none_or(|untold| first.is_none_or(|first| untold < first));
        self.damage.is_none() && self.chosen.len() == count && is_told
    }
}

/// Goes on until the reader has gone, enough is printed, or a signal ends this process: nothing is left undone then.
fn follow(mut reading: Reading, mut page: Page, json: bool) -> Result<Exit, Failure> {
    while page.left != Some(0) {
        while let Some(line) = next_line(&mut reading, json)? {
            if !page.put(&line)? {
                return page.end();
            }
        }
        if output::flush(&mut page.out)? == Reader::Gone || wait(&page.out)? == Reader::Gone {
            break;
        }
        reading.go_on()?;
    }
    page.end()
}

/// Lets some time pass, unless the reader goes meanwhile.
fn wait(out: &BufWriter<StdoutLock<'_>>) -> Result<Reader, Failure> {
    let mut watched = [PollFd::new(out.get_ref(), PollFlags::empty())];
    match poll(&mut watched, Some(&POLL_EVERY)) {
        Ok(0) | Err(rustix::io::Errno::INTR) => Ok(Reader::Listens),
        Ok(_) => Ok(Reader::Gone),
        Err(error) => Err(Failure::internal(io::Error::from(error))),
    }
}

/// Standard output, on which only so many lines are wanted.
struct Page {
    out: BufWriter<StdoutLock<'static>>,
    left: Option<usize>,
}

impl Page {
    /// Prints a line; whether another one is wanted.
    fn put(&mut self, line: &str) -> Result<bool, Failure> {
        if self.left == Some(0) {
            return Ok(false);
        }
        self.left = self.left.map(|left| left - 1);
        Ok(output::print_to(&mut self.out, line)? == Reader::Listens && self.left != Some(0))
    }

    fn end(mut self) -> Result<Exit, Failure> {
        output::flush(&mut self.out)?;
        Ok(Exit::Success)
    }
}

const READING: &str = "reading the ledger";

/// Where to begin before a ledger's newer entries: where these are not enough, ever farther, until reading all costs little
/// more.
const NEAR_BYTES: [u64; 4] = [0, 64 << 10, 1 << 20, 16 << 20];

/// A fifth of a second: soon enough for people, and seldom enough to cost nothing.
const POLL_EVERY: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
