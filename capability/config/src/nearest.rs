//! The word that somebody may have meant.

/// Names the nearest of `known`, then all of them.
pub(crate) fn nearest(given: &str, known: &[&str], kind: &str) -> String {
    let list = known.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    if known.is_empty() {
        return format!("there are no {kind} here");
    }
    match known.iter().min_by_key(|word| strsim::damerau_levenshtein(given, word)) {
        Some(word) if strsim::damerau_levenshtein(given, word) <= given.chars().count().div_ceil(2) => {
            format!("did you mean `{word}`? Known {kind} here: {list}")
        }
        Some(_) | None => format!("known {kind} here: {list}"),
    }
}
