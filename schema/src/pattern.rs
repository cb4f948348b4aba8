//! A `pattern`: the regular expressions of ECMA-262 that need no backtracking. Steps to match are the length of a text times
//! the states of the machine, and are counted before.

use regex_automata::Input;
use regex_automata::nfa::thompson::{self, WhichCaptures, pikevm::PikeVM};
use regex_automata::util::syntax;

use crate::limits::{PATTERN_BYTES_MAX, PATTERN_MEMORY_MAX};

/// A compiled pattern.
#[derive(Debug)]
pub(crate) struct Pattern {
    pub(crate) text: String,
    machine: PikeVM,
}

impl Pattern {
    /// Compiles a pattern that takes at most `memory_left` bytes.
    pub(crate) fn compile(text: &str, memory_left: usize) -> Result<Self, String> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(format!("the pattern has {} bytes; at most {PATTERN_BYTES_MAX} are taken", text.len()));
        }
        let limit = memory_left.min(PATTERN_MEMORY_MAX);
        let thompson = thompson::Config::new().nfa_size_limit(Some(limit)).which_captures(WhichCaptures::Implicit);
        let syntax = syntax::Config::new().nest_limit(NESTED_MAX);
        let machine = PikeVM::builder().syntax(syntax).thompson(thompson).build(&translated(text)?);
        let machine = machine.map_err(|error| match error.size_limit() {
            Some(_) => format!("a pattern takes more than {limit} bytes; repeat fewer times, or smaller classes"),
            None => format!("the pattern is not taken: {}", cause(&error)),
        })?;
        Ok(Self { text: text.to_owned(), machine })
    }

    pub(crate) fn memory(&self) -> usize {
        self.machine.get_nfa().memory_usage()
    }

    /// Steps that a search costs at most.
    pub(crate) fn steps(&self, text: &str) -> u64 {
        let states = self.machine.get_nfa().states().len() as u64;
        (text.len() as u64).saturating_add(1).saturating_mul(states)
    }

    pub(crate) fn is_in(&self, text: &str) -> bool {
        let mut memory = self.machine.create_cache();
        self.machine.is_match(&mut memory, Input::new(text).earliest(true))
    }
}

/// The innermost error says what is wrong.
fn cause(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string().lines().last().unwrap_or_default().to_owned()
}

/// The pattern in the words of the machine below, which differ: there a class is of Unicode, and may hold classes.
fn translated(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len() + 16);
    let mut chars = text.chars().peekable();
    let mut in_class = false;
    while let Some(char) = chars.next() {
        match char {
            '\\' => escape(chars.next(), in_class, &mut out)?,
            '[' if in_class => out.push_str("\\["),
            '[' => {
                in_class = true;
                out.push('[');
                if chars.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                if chars.peek() == Some(&']') {
                    return Err("the pattern has an empty class, `[]` or `[^]`".to_owned());
                }
            }
            ']' => {
                in_class = false;
                out.push(']');
            }
            '&' | '~' if in_class => out.extend(['\\', char]),
            '-' if in_class && chars.peek() == Some(&'-') => {
                return Err("the pattern has `--` in a class; write `\\-`".to_owned());
            }
            '.' if !in_class => out.push_str(r"[^\n\r\u{2028}\u{2029}]"),
            '(' if !in_class => {
                out.push('(');
                let mut ahead = chars.clone();
                let is_special = ahead.next() == Some('?');
                let (what, name) = (ahead.next(), ahead.next());
                let is_named = what == Some('<') && !matches!(name, Some('=' | '!'));
                if is_special && what != Some(':') && !is_named {
                    return Err("the pattern has a group `(?…)` that is neither `(?:…)` nor `(?<name>…)`".to_owned());
                }
            }
            other => out.push(other),
        }
    }
    Ok(out)
}

fn escape(escaped: Option<char>, in_class: bool, out: &mut String) -> Result<(), String> {
    let escaped = escaped.ok_or("the pattern ends in a backslash")?;
    match escaped {
        'd' => out.push_str("[0-9]"),
        'D' => out.push_str("[^0-9]"),
        'w' => out.push_str("[A-Za-z0-9_]"),
        'W' => out.push_str("[^A-Za-z0-9_]"),
        's' => out.push_str(&format!("[{SPACES}]")),
        'S' => out.push_str(&format!("[^{SPACES}]")),
        'b' if in_class => out.push_str(r"\x08"),
        'b' => out.push_str(r"(?-u:\b)"),
        'B' | 'c' | 'k' | '0'..='9' => return Err(format!("the pattern has `\\{escaped}`, which is not taken")),
        // These stand for other things below, or for nothing.
        'A' | 'z' | 'a' | 'U' | '<' | '>' => return Err(format!("the pattern has `\\{escaped}`, which means nothing")),
        other => out.extend(['\\', other]),
    }
    Ok(())
}

/// What `\s` is in ECMA-262: WhiteSpace and LineTerminator.
const SPACES: &str = r"\t-\r \u{a0}\u{1680}\u{2000}-\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}\u{feff}";

/// Groups within groups.
const NESTED_MAX: u32 = 50;

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(text: &str) -> Result<Pattern, String> {
        Pattern::compile(text, PATTERN_MEMORY_MAX)
    }

    #[test]
    fn patterns_mean_what_ecma_262_says() {
        let cases: [(&str, &[&str], &[&str]); 14] = [
            (r"^\d+$", &["042"], &["٣", "4 2", "42\n"]),
            (r"^\w+$", &["a_9"], &["é", "a-b", ""]),
            (r"^[\w.-]+$", &["a.b-c"], &["a b", "é"]),
            (r"^\D\S\W$", &["éx!"], &["1x!"]),
            (r"\s", &["\u{feff}", "\u{a0}", "\n"], &["\u{85}", "x"]),
            (r"^.$", &["é"], &["\r", "\u{2028}", "ab"]),
            (r"^[a&&b]+$", &["a&b"], &["c"]),
            (r"^[[a]$", &["[", "a"], &["b"]),
            (r"\bword\b", &["a word!"], &["swords"]),
            (r"^(?:a|b)(?<rest>c*)$", &["acc", "b"], &["c"]),
            (r"^\p{L}{2}$", &["éß"], &["a1"]),
            (r"^(a+)+$", &["aaaa"], &["aaaab"]),
            (r"^/\/\u0041\-$", &["//A-"], &["//a-"]),
            ("needle", &["in a needle stack"], &["in a haystack"]),
        ];
        for (pattern, yes, no) in cases {
            let pattern = compiled(pattern).unwrap();
            yes.iter().for_each(|text| assert!(pattern.is_in(text), "{} {text:?}", pattern.text));
            no.iter().for_each(|text| assert!(!pattern.is_in(text), "{} {text:?}", pattern.text));
        }
    }

    #[test]
    fn what_backtracks_or_means_something_else_is_refused() {
        for text in [
            "(?=a)b",
            "(?!a)b",
            "(?<=a)b",
            "(?<!a)b",
            r"(a)\1",
            r"(?<n>a)\k<n>",
            "(?i)a",
            "(?P<n>a)",
            "(?x) a",
            "[]",
            "[^]",
            "[+--]",
            r"\Aa",
            r"a\z",
            r"\cA",
            "a\\",
            "(",
            "[a",
            "a{2,1}",
            "*a",
        ] {
            assert!(compiled(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_pattern_takes_no_more_memory_than_it_may() {
        for text in [r"(?:a{1000}){1000}", r"\p{L}{1000}", r"(?:(?:(?:x{1,100}){1,100}){1,100}){1,100}"] {
            let error = compiled(text).unwrap_err();
            assert!(error.contains("takes more than 524288 bytes"), "{error}");
        }
        assert!(compiled(r"^\p{L}{1,16}$").unwrap().memory() <= PATTERN_MEMORY_MAX / 2);
        assert!(compiled(&"(".repeat(100)).is_err());
        assert!(compiled(&"a".repeat(PATTERN_BYTES_MAX + 1)).unwrap_err().contains("bytes"));
        assert!(Pattern::compile("a{100}", 1000).unwrap_err().contains("more than 1000 bytes"));
    }
}
