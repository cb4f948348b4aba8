//! x
use crate::Scale;
pub(crate) fn torn(_scale: Scale) {}
