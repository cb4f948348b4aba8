//! The unit tests of the SDKs, the example tools and the templates, by the languages' own runners. They need no package.

use std::fs;
use std::path::Path;
use std::process::Command;

use tollgate_workspace::foreign::missing;

use crate::project::{copy, repository, scratch, text};

pub(crate) fn all((): ()) {
    let root = repository();
    for (language, runner, args, example, log) in [
        ("python", "python3", ["-m", "unittest"].as_slice(), "outline", "pip-languages.log"),
        ("javascript", "node", ["--test"].as_slice(), "fill-in", "npm.log"),
    ] {
        if Command::new(runner).arg("--version").output().is_err() {
            missing(&format!("`{runner}` for the unit tests of {language}"), log);
            continue;
        }
        let sdk = root.join("guest-sdk").join(language);
        passes(runner, args, &sdk);
        passes(runner, args, &root.join("example-tools").join(example));
        let project = scratch().join("template").join(language);
        fs::remove_dir_all(&project).ok();
        copy(&root.join("runtime/cli/templates").join(language), &project);
        copy(&sdk, &project.join("vendor"));
        for name in ["test_tollgate_guest.py", "tollgate-guest.test.js"] {
            fs::remove_file(project.join("vendor").join(name)).ok();
        }
        passes(runner, args, &project);
    }
}

fn passes(runner: &str, args: &[&str], folder: &Path) {
    let ran = Command::new(runner).args(args).current_dir(folder).env("PYTHONDONTWRITEBYTECODE", "1").output();
    let ran = ran.expect("a runner");
    let said = format!("{}{}", text(&ran.stdout), text(&ran.stderr));
    assert!(ran.status.success(), "{}: {said}", folder.display());
    assert!(!said.contains("Ran 0 tests") && !said.contains("# tests 0"), "{}: {said}", folder.display());
}
