//! Languages of tools.

use std::path::Path;

use clap::ValueEnum;

/// What a tool is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    Rust,
    Python,
    Javascript,
}

impl Language {
    const ALL: [Self; 3] = [Self::Rust, Self::Python, Self::Javascript];

    /// The languages whose files are in a project's folder.
    pub(crate) fn marked(folder: &Path) -> Vec<Self> {
        Self::ALL.into_iter().filter(|language| folder.join(language.mark()).is_file()).collect()
    }

    /// The file in a project's folder that says so.
    pub(crate) fn mark(self) -> &'static str {
        match self {
            Self::Rust => "Cargo.toml",
            Self::Python => "tool.py",
            Self::Javascript => "tool.js",
        }
    }

    /// Extensions of the files that its components are made of.
    pub(crate) fn sources(self) -> &'static [&'static str] {
        match self {
            Self::Rust => &["rs"],
            Self::Python => &["py"],
            Self::Javascript => &["js", "mjs"],
        }
    }
}
