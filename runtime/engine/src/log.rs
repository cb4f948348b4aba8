//! What a tool logs: lines on its standard error that begin with a level, as sd-daemon(3) has them. Only text: nothing follows
//! from it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// How much a line matters, the most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// `<0>` to `<3>`.
    Error,
    /// `<4>`.
    Warn,
    /// `<5>` and `<6>`.
    Info,
    /// `<7>`.
    Debug,
}

impl LogLevel {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

/// A line of a tool's standard error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine<'a> {
    /// Its level; none if it has none, such as one that a library prints.
    pub level: Option<LogLevel>,
    /// The rest of it; what is not UTF-8 is replaced.
    pub text: Cow<'a, str>,
}

/// The lines of a tool's standard error.
pub fn log_lines(stderr: &[u8]) -> impl DoubleEndedIterator<Item = LogLine<'_>> {
    let whole = stderr.strip_suffix(b"\n").unwrap_or(stderr);
    let lines = (!stderr.is_empty()).then(|| whole.split(|byte| *byte == b'\n'));
    lines.into_iter().flatten().map(|line| {
        let (level, text) = match line {
            [b'<', digit @ b'0'..=b'7', b'>', text @ ..] => (Some(level(*digit)), text),
            text => (None, text),
        };
        LogLine { level, text: String::from_utf8_lossy(text) }
    })
}

fn level(digit: u8) -> LogLevel {
    match digit {
        ..=b'3' => LogLevel::Error,
        b'4' => LogLevel::Warn,
        b'5' | b'6' => LogLevel::Info,
        b'7'.. => LogLevel::Debug,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_those_of_sd_daemon() {
        let lines: Vec<_> = log_lines(b"<3>no\n<4>hm\n<6>so\n<7>so so\nplain\n<8>other\n<6\n\n").collect();
        let levels: Vec<_> = lines.iter().map(|line| line.level.map(LogLevel::as_str)).collect();
        assert_eq!(levels, [Some("error"), Some("warn"), Some("info"), Some("debug"), None, None, None, None]);
        let texts: Vec<_> = lines.iter().map(|line| &*line.text).collect();
        assert_eq!(texts, ["no", "hm", "so", "so so", "plain", "<8>other", "<6", ""]);
        assert_eq!(log_lines(b"").count(), 0);
        assert_eq!(
            log_lines(b"<0>\xff").next().unwrap(),
            LogLine { level: Some(LogLevel::Error), text: "\u{fffd}".into() }
        );
    }
}
