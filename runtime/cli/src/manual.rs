//! Manual pages, made of what `--help` says.

use std::io;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use miette::Diagnostic;

use super::command_line::Args;
use super::exit::{Exit, Failure};
use super::output;

#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("the manual pages cannot be written into `{}`", folder.display())]
#[diagnostic(help("give a folder that is there and is yours"))]
struct NotWritten {
    folder: PathBuf,
    source: io::Error,
}

/// Prints the page of this program, or writes those of all its commands into a folder.
pub(crate) fn print(folder: Option<&Path>) -> Result<Exit, Failure> {
    let Some(folder) = folder else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Args::command()).render(&mut page).map_err(Failure::internal)?;
        output::print(&String::from_utf8_lossy(&page))?;
        return Ok(Exit::Success);
    };
    let written = clap_mangen::generate_to(Args::command(), folder);
    written.map_err(|source| Failure::usage(NotWritten { folder: folder.to_owned(), source }))?;
    Ok(Exit::Success)
}
