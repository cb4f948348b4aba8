//! A verifier that others wrote: Go's `sumdb/note` and `sumdb/tlog`, by the program in `tests/go`.

use std::path::{Path, PathBuf};
use std::process::Command;

use tollgate_audit::verify;
use tollgate_workspace::foreign::missing;

/// The program, where it can be built. In CI it must be.
pub(crate) struct Foreign(Option<PathBuf>);

impl Foreign {
    /// Builds it in `folder`.
    pub(crate) fn build(folder: &Path) -> Self {
        let program = folder.join("go-verify");
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/go");
        let mut command = Command::new("go");
        command.args(["build", "-o"]).arg(&program).arg("main.go").current_dir(sources);
        command.env("GO111MODULE", "off").env("GOPATH", "/usr/share/gocode").env("GOCACHE", folder.join("go-cache"));
        let is_built = command.output().is_ok_and(|built| built.status.success());
        if !is_built {
            missing("Go's verifier (`go` with golang.org/x/mod below /usr/share/gocode)", "apt.log");
        }
        Self(is_built.then_some(program))
    }

    /// Has it verify a ledger, all of which a checkpoint covers.
    pub(crate) fn verify(&self, ledger: &Path) {
        let Some(program) = &self.0 else { return };
        let report = verify(ledger, None).expect("a ledger that can be read");
        let key = report.signed_by.expect("the ledger's key").to_string();
        let output = Command::new(program).arg(ledger).arg(key).output().expect("the verifier");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.starts_with(&format!("verified {} entries", report.size.0)), "{said}");
    }
}
