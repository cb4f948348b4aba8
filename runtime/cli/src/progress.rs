//! Says on stderr that long work goes on: on a terminal for how long, elsewhere once. Never on stdout.

use std::io::IsTerminal as _;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::output::eprint_own;

/// Does `work`, saying `what` is done if it takes some seconds.
pub(super) fn during<T>(what: &str, work: impl FnOnce() -> T) -> T {
    work_for(what, [FIRST, ELSEWHERE], work)
}

/// As [`during`], of a wait for somebody else, which is told sooner.
pub(super) fn soon<T>(what: &str, work: impl FnOnce() -> T) -> T {
    work_for(what, [AGAIN, AGAIN], work)
}

/// Does `work`; says `what` is done after the first of the times on a terminal, elsewhere after the second.
fn work_for<T>(what: &str, [first, elsewhere]: [Duration; 2], work: impl FnOnce() -> T) -> T {
    let (done, until_done) = channel::<()>();
    thread::scope(|scope| {
        let watch = move || {
            if std::io::stderr().is_terminal() {
                count_seconds(what, &until_done, first, eprint_own);
            } else {
                say_once(what, &until_done, elsewhere, eprint_own);
            }
        };
        // Without a thread to say so, the work goes on in silence.
        thread::Builder::new().spawn_scoped(scope, watch).ok();
        let result = work();
        drop(done);
        result
    })
}

/// As [`during`], of work that prints: where its lines come on a terminal, they show themselves that it goes on.
pub(super) fn during_output<T>(what: &str, work: impl FnOnce() -> T) -> T {
    if std::io::stdout().is_terminal() { work() } else { during(what, work) }
}

fn count_seconds(what: &str, until_done: &Receiver<()>, first: Duration, say: impl Fn(&str)) {
    let started = Instant::now();
    let (mut wait, mut has_said) = (first, false);
    while is_long(until_done, wait) {
        say(&format!("\r{what} … {} s", started.elapsed().as_secs()));
        (wait, has_said) = (AGAIN, true);
    }
    if has_said {
        // Back to the start of the line, and empty it.
        say("\r\x1b[K");
    }
}

/// Whoever reads a log later wants to know once.
fn say_once(what: &str, until_done: &Receiver<()>, first: Duration, say: impl Fn(&str)) {
    if is_long(until_done, first) {
        say(&format!("{what} …\n"));
    }
}

/// Whether the work still goes on after `wait`.
fn is_long(until_done: &Receiver<()>, wait: Duration) -> bool {
    until_done.recv_timeout(wait) == Err(RecvTimeoutError::Timeout)
}

const FIRST: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_secs(1);
/// Not for what a usual tool takes, so that short runs leave logs as they are.
const ELSEWHERE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    #[test]
    fn long_work_is_told_once_where_nobody_watches() {
        let said = RefCell::new(String::new());
        let say = |text: &str| said.borrow_mut().push_str(text);
        // It never ends while it is told of.
        let (work, until_done) = channel();
        say_once("compiling", &until_done, Duration::ZERO, say);
        assert_eq!(said.take(), "compiling …\n");
        drop(work);
        say_once("compiling", &until_done, Duration::from_secs(3600), say);
        assert_eq!(said.take(), "", "what is done by then is not told");
    }

    #[test]
    fn on_a_terminal_the_line_is_emptied_when_the_work_is_done() {
        let said = RefCell::new(String::new());
        let (work, until_done) = channel();
        let work = Cell::new(Some(work));
        let say = |text: &str| {
            said.borrow_mut().push_str(text);
            // Done as soon as it was told.
            drop(work.take());
        };
        count_seconds("compiling", &until_done, Duration::ZERO, say);
        assert_eq!(said.take(), "\rcompiling … 0 s\r\x1b[K");
        count_seconds("compiling", &until_done, Duration::from_secs(3600), say);
        assert_eq!(said.take(), "", "nothing was told, so nothing is emptied");
    }
}
