//! What people are shown of an error in a manifest, a policy or a `--grant`.

use miette::{Diagnostic, NarratableReportHandler};

/// The error can be shown, points into its text, says what to do, and steers no terminal.
pub(crate) fn shown(error: &dyn Diagnostic) {
    let mut out = String::new();
    NarratableReportHandler::new().render_report(&mut out, error).expect("an error that can be shown");
    let steers = |c: char| c.is_control() && !matches!(c, '\n' | '\t' | '\r');
    assert!(!out.contains(steers), "steers a terminal: {out:?}");
    assert!(error.help().is_some(), "says what to do: {out}");
    for label in error.labels().into_iter().flatten() {
        let text = error.source_code().expect("a text that labels point into");
        assert!(text.read_span(label.inner(), 0, 0).is_ok(), "points into its text: {label:?}");
    }
}
