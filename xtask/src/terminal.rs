//! Colour on a terminal, none elsewhere.

use std::io::IsTerminal as _;

/// How a line stands out.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Style {
    /// A heading.
    Bold,
    /// As promised.
    Good,
    /// Not as promised.
    Bad,
    /// Beside the point.
    Faint,
}

/// Knows whether stdout takes colour.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    colour: bool,
}

impl Terminal {
    pub(crate) fn of_stdout() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { colour: wanted && std::io::stdout().is_terminal() }
    }

    pub(crate) fn line(self, style: Style, text: &str) {
        let code = match style {
            Style::Bold => "1",
            Style::Good => "32",
            Style::Bad => "1;31",
            Style::Faint => "2",
        };
        if self.colour { println!("\u{1b}[{code}m{text}\u{1b}[0m") } else { println!("{text}") }
    }
}
