//! Sends the records of the `log` crate to standard error, each with its level as sd-daemon(3) says. Must never write
//! unless the tool logs.

use std::io::Write as _;

use log::{Level, LevelFilter, Log, Metadata, Record};

/// Makes the macros of `log` write to standard error, down to `debug`.
pub(crate) fn to_stderr() {
    // Fails if the tool has a logger already, which an instance has from its first call on: then nothing is to do.
    if log::set_logger(&ToStderr).is_ok() {
        log::set_max_level(LevelFilter::Debug);
    }
}

struct ToStderr;

impl Log for ToStderr {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        // In one write, since each is a call that is checked. Where standard error is refused, there is nobody to tell.
        let _unheard = std::io::stderr().write_all(lines(record.level(), &record.args().to_string()).as_bytes());
    }

    fn flush(&self) {}
}

/// The message as lines that each begin with the level.
fn lines(level: Level, message: &str) -> String {
    let prefix = match level {
        Level::Error => "<3>",
        Level::Warn => "<4>",
        Level::Info => "<6>",
        Level::Debug | Level::Trace => "<7>",
    };
    let mut lines = String::new();
    for line in message.split('\n') {
        lines.push_str(prefix);
        lines.push_str(line);
        lines.push('\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_comes_first_as_sd_daemon_says() {
        let levels = [Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace];
        assert_eq!(
            levels.map(|level| lines(level, "said")),
            ["<3>said\n", "<4>said\n", "<6>said\n", "<7>said\n", "<7>said\n"]
        );
    }

    #[test]
    fn each_line_of_a_message_has_the_level() {
        assert_eq!(lines(Level::Warn, "one\n<3>two\n"), "<4>one\n<4><3>two\n<4>\n");
        assert_eq!(lines(Level::Info, ""), "<6>\n");
    }
}
