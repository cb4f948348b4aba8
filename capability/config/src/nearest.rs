//! The word that somebody may have meant.

/// Names the nearest of `known`, then all of them.
pub(crate) fn nearest(given: &str, known: &[&str], kind: &str) -> String {
    let list = known.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    if PROOFS.contains(&given) && known.contains(&"is") {
        return format!("it stands in `is`: write `is = {{ {given} = … }}`. Known {kind} here: {list}");
    }
    // Agents are asked by sockets: not what a tool would do with one.
    if NETWORK.contains(&given) && !known.is_empty() && !known.iter().any(|word| ["is", "socket"].contains(word)) {
        return format!(
            "the network cannot be granted, to any tool: each call of it is denied. Known {kind} here: {list}"
        );
    }
    if let Some((_, now)) = RENAMED.iter().find(|(before, now)| *before == given && known.contains(now)) {
        return format!("`[{given}]` is named `[{now}]` now: rename the table");
    }
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

/// What one would call the network.
const NETWORK: [&str; 10] = ["net", "network", "tcp", "udp", "http", "https", "dns", "socket", "sockets", "internet"];

/// What proves an agent.
const PROOFS: [&str; 3] = ["uid", "token", "socket"];

/// Tables that had another name, with the name they have.
const RENAMED: [(&str, &str); 1] = [("hosts", "workers")];
