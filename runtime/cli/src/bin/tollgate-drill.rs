//! The attacks of `tollgate drill`, which starts this program from beside itself. It is a worker's process too, with code that
//! attacks where the shipped one does nothing.

use std::process::ExitCode;

fn main() -> ExitCode {
    tollgate_cli::drill::main()
}
