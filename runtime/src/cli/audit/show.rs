//! `tollgate audit show`.

use std::collections::VecDeque;
use std::io::{self, BufWriter, StdoutLock};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::args::ShowArgs;
use super::fault::AuditError;
use super::line::{json_line, text_line};
use super::reading::Reading;
use super::{one_call, private};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{self, Reader};

pub(super) fn show(args: &ShowArgs, folder: &Path) -> Result<Exit, Failure> {
    let mut reading = Reading::start(folder, args.filter.filter()?)?;
    let mut page = Page { out: BufWriter::new(io::stdout().lock()), left: args.limit };
    let (mut kept, mut found) = (VecDeque::new(), false);
    let damage = loop {
        let line = match next_line(&mut reading, args.json) {
            Ok(Some(line)) => line,
            Ok(None) => break None,
            Err(damage) => break Some(damage),
        };
        found = true;
        match args.last {
            Some(last) => keep(&mut kept, line, last),
            None if page.put(&line)? => {}
            None => return page.end(),
        }
    };
    for line in kept {
        if !page.put(&line)? {
            return page.end();
        }
    }
    output::flush(&mut page.out)?;
    match (damage, &args.filter.call) {
        (Some(damage), _) => Err(damage),
        (None, _) if args.follow => follow(reading, page, args.json),
        (None, Some(given)) if !found => {
            Err(Failure::usage(AuditError::NoCall { folder: folder.to_owned(), given: given.clone() }))
        }
        (None, Some(given)) if args.private => {
            page.put(&private::shown(folder, &one_call::find(folder, given)?, args.json)?)?;
            page.end()
        }
        (None, _) => page.end(),
    }
}

fn next_line(reading: &mut Reading, json: bool) -> Result<Option<String>, Failure> {
    let Some((index, entry)) = reading.next_chosen()? else { return Ok(None) };
    let line = if json { json_line } else { text_line };
    Ok(Some(line(index, &entry, reading.context())))
}

/// Keeps the last `count` lines.
fn keep(lines: &mut VecDeque<String>, line: String, count: usize) {
    lines.push_back(line);
    if lines.len() > count {
        lines.pop_front();
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

/// A fifth of a second: soon enough for people, and seldom enough to cost nothing.
const POLL_EVERY: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
