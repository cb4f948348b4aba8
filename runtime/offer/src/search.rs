//! Two tools in the place of many: one finds tools by words, the other calls one by its name. So a model reads what it looks for, and no
//! more.
//!
//! Finding is simple, and the same for the same list: whole words and beginnings of words, in names and descriptions. A description is
//! its author's, so that an author can have a tool found; what the tool may do does not follow from that.

use std::borrow::Borrow;
use std::cmp::Reverse;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tollgate_plain::output;

use crate::hints::Hints;
use crate::list::{Offer, Provider};
use crate::lower::{length, lower_input};

/// The tool that finds tools.
pub const FIND: &str = "find-tool";

/// The tool that calls one.
pub const CALL: &str = "call-tool";

/// What one of the two is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Through<'a> {
    /// Tools with these words.
    Find {
        /// The words.
        query: String,
        /// Most tools of the answer.
        limit: usize,
    },
    /// A call.
    Call {
        /// The offered name.
        name: String,
        /// Its arguments, JSON text byte for byte as it came; `{}` where none did.
        arguments: &'a str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FindArguments {
    query: String,
    limit: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallArguments<'a> {
    name: String,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

/// What a call of one of the two asks for; none where it is of another tool.
///
/// # Errors
///
/// The arguments are not what the tool takes; the text says why.
pub fn through<'a>(name: &str, arguments: &'a str) -> Option<Result<Through<'a>, String>> {
    let wrong = |error: serde_json::Error| format!("the arguments of `{name}`: {error}");
    match name {
        FIND => Some(serde_json::from_str(arguments).map_err(wrong).and_then(|FindArguments { query, limit }| {
            if query.len() > QUERY_BYTES_MAX {
                return Err(format!("`query` has {} bytes; the maximum is {QUERY_BYTES_MAX}", query.len()));
            }
            let limit = limit.map_or(LIMIT_DEFAULT, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
            Ok(Through::Find { query, limit: limit.clamp(1, LIMIT_MAX) })
        })),
        CALL => Some(serde_json::from_str(arguments).map_err(wrong).map(|CallArguments { name, arguments }| {
            Through::Call { name, arguments: arguments.map_or("{}", RawValue::get) }
        })),
        _other => None,
    }
}

/// The two tools, as MCP lists tools, where the operations that are offered have these hints. What calls one can do what any of them can.
#[must_use]
pub fn list_of_two(offered: impl IntoIterator<Item = Hints>) -> [Value; 2] {
    let nothing = Hints { read_only: true, destructive: false, idempotent: true, open_world: false };
    let hints = offered.into_iter().fold(nothing, |all, one| Hints {
        read_only: all.read_only && one.read_only,
        destructive: all.destructive || one.destructive,
        idempotent: all.idempotent && one.idempotent,
        open_world: all.open_world || one.open_world,
    });
    let find = json!({
        "name": FIND,
        "title": "Find a tool",
        "description": "Finds tools of this machine by words of their names and descriptions. Look here before you say that there is no \
                        tool for something. The answer has each tool's name, description and input schema.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "query": { "type": "string", "description": "What the tool should do, in a few words; empty for any." },
                "limit": { "type": "integer", "minimum": 1, "maximum": LIMIT_MAX },
            },
            "required": ["query"],
        },
        "annotations": nothing.annotations(),
    });
    let call = json!({
        "name": CALL,
        "title": "Call a tool",
        "description": "Calls a tool that find-tool has found, by its name.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "name": { "type": "string" },
                "arguments": { "type": "object", "description": "As the tool's input schema has them." },
            },
            "required": ["name"],
        },
        "annotations": hints.annotations(),
    });
    [find, call]
}

/// The tools that fit the words best, the best first: an object with their names, descriptions and input schemas, as many as
/// [`FOUND_BYTES_MAX`] lets in. Of the offers no more are held than the answer has.
#[must_use]
pub fn find<O: Borrow<Offer>>(offers: impl IntoIterator<Item = O>, query: &str, limit: usize) -> Value {
    let mut wanted: Vec<String> = words(query).take(QUERY_WORDS_MAX).collect();
    wanted.sort();
    wanted.dedup();
    let (mut best, mut fitting, mut of) = (Vec::<(u32, O)>::new(), 0_usize, 0_usize);
    for offer in offers {
        of += 1;
        let score = score(offer.borrow(), &wanted);
        if score == 0 && !wanted.is_empty() {
            continue;
        }
        fitting += 1;
        let is_before = |(other, before): &(u32, O)| {
            (Reverse(*other), &before.borrow().name) <= (Reverse(score), &offer.borrow().name)
        };
        let place = best.partition_point(is_before);
        if place < limit {
            best.insert(place, (score, offer));
            best.truncate(limit);
        }
    }
    let mut left = FOUND_BYTES_MAX;
    let mut tools = Vec::new();
    for (_score, offer) in &best {
        let offer = offer.borrow();
        let entry = json!({
            "name": offer.name,
            "description": cut(&output(&offer.description)),
            "inputSchema": lower_input(&offer.input, Provider::Mcp).schema,
        });
        // Whoever finds a tool without its schema may still call it: its own schema judges. None takes the room of all others.
        let entry = if length(&entry) <= left.min(ENTRY_BYTES_MAX) { entry } else { json!({ "name": offer.name }) };
        left = left.saturating_sub(length(&entry));
        tools.push(entry);
    }
    json!({ "tools": tools, "found": fitting, "of": of })
}

/// How well an operation fits: a name says more than a description, a whole word more than a beginning.
fn score(offer: &Offer, wanted: &[String]) -> u32 {
    let name: Vec<String> = words(&offer.name).collect();
    let description: Vec<String> = words(&offer.description).take(DESCRIPTION_WORDS_MAX).collect();
    // Words such as `of` are in each description.
    let described = |word: &String| if word.len() < WORD_BYTES_MIN { 0 } else { fit(word, &description) };
    let of = |word: &String| 4 * fit(word, &name) + described(word);
    wanted.iter().map(of).sum()
}

fn fit(wanted: &str, words: &[String]) -> u32 {
    let begins = |word: &String| {
        let (short, long) = if word.len() < wanted.len() { (word.as_str(), wanted) } else { (wanted, word.as_str()) };
        short.len() >= WORD_BYTES_MIN && long.starts_with(short)
    };
    match words {
        _ if words.iter().any(|word| word == wanted) => 2,
        _ if words.iter().any(begins) => 1,
        _ => 0,
    }
}

/// Letters and digits between all else, in small letters.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// The beginning of a description.
fn cut(description: &str) -> String {
    let mut start: String = description.chars().take(DESCRIPTION_CHARS_MAX).collect();
    if start.len() < description.len() {
        start.push('…');
    }
    start
}

/// Most bytes of what is looked for, and most words of it that count.
const QUERY_BYTES_MAX: usize = 1 << 10;
const QUERY_WORDS_MAX: usize = 32;

/// Words of a description that are looked at: an author cannot make looking cost much.
const DESCRIPTION_WORDS_MAX: usize = 256;

/// Characters of a description that an answer has.
const DESCRIPTION_CHARS_MAX: usize = 400;

/// Bytes of the shortest word that counts in a description, and of the shortest beginning: three letters of Latin, one of Chinese.
const WORD_BYTES_MIN: usize = 3;

const LIMIT_DEFAULT: usize = 5;
const LIMIT_MAX: usize = 20;

/// Most bytes of the entries of an answer that have a schema.
pub const FOUND_BYTES_MAX: usize = 128 << 10;

/// Most bytes of one that has.
const ENTRY_BYTES_MAX: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Operation;

    const READ: Hints = Hints { read_only: true, destructive: false, idempotent: true, open_world: false };

    fn offer(name: &str, description: &str) -> Offer {
        let (tool, operation) = name.split_once('_').unwrap();
        Offer {
            name: name.to_owned(),
            operation: Operation { tool: tool.to_owned(), operation: operation.to_owned() },
            description: description.to_owned(),
            input: json!({ "type": "object", "properties": { "path": { "type": "string" } } }),
            output: json!({}),
            hints: READ,
        }
    }

    fn names(found: &Value) -> Vec<&str> {
        found["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect()
    }

    #[test]
    fn a_name_counts_for_more_than_a_description_and_equals_are_in_order() {
        let offers = [
            offer("notes_add", "Adds a line to the notes."),
            offer("word-count_count", "Counts lines, words and bytes."),
            offer("csv-stats_summary", "Counts the rows of a table."),
            offer("abacus_sum", "Counts."),
        ];
        let found = find(&offers, "COUNT words!", 5);
        assert_eq!(names(&found), ["word-count_count", "abacus_sum", "csv-stats_summary"]);
        assert_eq!((&found["found"], &found["of"]), (&json!(3), &json!(4)));
        assert_eq!(
            found["tools"][0],
            json!({
                "name": "word-count_count", "description": "Counts lines, words and bytes.",
                "inputSchema": { "type": "object", "properties": { "path": { "type": "string" } } },
            })
        );
        assert_eq!(names(&find(&offers, "count", 1)), ["word-count_count"]);
        assert_eq!(names(&find(&offers, "co", 5)), Vec::<&str>::new(), "two letters begin too much");
        assert_eq!(names(&find(&offers, "nothing of this", 5)), Vec::<&str>::new());
        assert_eq!(names(&find(&offers, " ", 2)), ["abacus_sum", "csv-stats_summary"], "no word: all, by name");
        let again = [offers[3].clone(), offers[1].clone(), offers[0].clone(), offers[2].clone()];
        assert_eq!(find(&again, "COUNT words!", 5), found, "in whichever order they come");
    }

    #[test]
    fn what_an_answer_has_is_bounded_and_steers_nothing() {
        let long = "count \u{202e}".to_owned() + &"x".repeat(1000);
        let of_bytes = |bytes| json!({ "type": "object", "title": "y".repeat(bytes) });
        let wide = Offer { input: of_bytes(15 << 10), ..offer("a_b", &long) };
        let mut offers: Vec<Offer> = (0..9).map(|n| Offer { name: format!("a_b{n}"), ..wide.clone() }).collect();
        let found = find(&offers, "count", 20);
        assert_eq!(found["tools"].as_array().unwrap().len(), 9);
        assert!(found.to_string().len() < FOUND_BYTES_MAX + 1_000, "{}", found.to_string().len());
        let description = found["tools"][0]["description"].as_str().unwrap();
        assert!(description.starts_with("count \\u202exxx") && description.ends_with('…'), "{description}");
        assert_eq!(found["tools"][8], json!({ "name": "a_b8" }), "there is no more room");
        offers[0].input = of_bytes(100 << 10);
        let found = find(&offers, "count", 20);
        assert_eq!(found["tools"][0], json!({ "name": "a_b0" }), "one alone does not fill an answer");
        assert!((1..9).all(|n| found["tools"][n]["inputSchema"]["title"].is_string()));
    }

    #[test]
    fn a_list_of_two_is_short_and_true() {
        let mut offers: Vec<Offer> = (0..1_000).map(|n| offer(&format!("tool-{n}_run"), "Does something.")).collect();
        let [find, call] = list_of_two(offers.iter().map(|offer| offer.hints));
        let length = json!({ "tools": [find, call] }).to_string().len();
        assert!(length <= 1_500, "{length}");
        assert_eq!(call["annotations"], READ.annotations());
        offers[500].hints = Hints { read_only: false, destructive: true, idempotent: false, open_world: false };
        let [find, call] = list_of_two(offers.iter().map(|offer| offer.hints));
        assert_eq!(call["annotations"], offers[500].hints.annotations(), "the worst of all");
        assert_eq!(find["annotations"], READ.annotations());
    }

    #[test]
    fn the_two_are_asked_in_their_own_words() {
        let asked = |name: &str, arguments: &'static str| through(name, arguments);
        let find = |query: &str, limit| Some(Ok(Through::Find { query: query.to_owned(), limit }));
        assert_eq!(asked(FIND, r#"{"query":"a b"}"#), find("a b", 5));
        assert_eq!(asked(FIND, r#"{"query":"","limit":1000}"#), find("", 20));
        assert_eq!(asked(FIND, r#"{"query":"","limit":0}"#), find("", 1));
        let call = |name: &str, arguments| Some(Ok(Through::Call { name: name.to_owned(), arguments }));
        assert_eq!(
            asked(CALL, r#"{"name":"a_b","arguments": {"n": 1.00000000000000000001} }"#),
            call("a_b", r#"{"n": 1.00000000000000000001}"#)
        );
        assert_eq!(asked(CALL, r#"{"name":"a_b"}"#), call("a_b", "{}"));
        assert_eq!(asked("a_b", "{}"), None);
        for (name, arguments, why) in [
            (FIND, "{}", "the arguments of `find-tool`: missing field `query` at line 1 column 2"),
            (
                FIND,
                r#"{"query":1}"#,
                "the arguments of `find-tool`: invalid type: integer `1`, expected a string at line 1 column 10",
            ),
            (
                CALL,
                r#"{"name":"a","tool":"b"}"#,
                "the arguments of `call-tool`: unknown field `tool`, expected `name` or `arguments` at line 1 column 18",
            ),
            (
                CALL,
                "[]",
                "the arguments of `call-tool`: invalid length 0, expected struct CallArguments with 2 elements at line 1 column 2",
            ),
        ] {
            assert_eq!(asked(name, arguments), Some(Err(why.to_owned())));
        }
        let long = format!(r#"{{"query":"{}"}}"#, "x".repeat(QUERY_BYTES_MAX + 1));
        assert_eq!(through(FIND, &long), Some(Err("`query` has 1025 bytes; the maximum is 1024".to_owned())));
    }
}
