//! Doc comments as text for an agent.

use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// The doc comment among `attributes`, as one text. None where there is none, or nothing in it.
pub(crate) fn text(attributes: &[Attribute]) -> Option<String> {
    let lines: Vec<String> = attributes.iter().filter_map(line).collect();
    let lines: Vec<&str> = lines.iter().flat_map(|line| line.split('\n')).collect();
    let text = unwrapped(&lines);
    (!text.is_empty()).then_some(text)
}

fn line(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(meta) = &attribute.meta else { return None };
    let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &meta.value else { return None };
    let text = text.value();
    meta.path.is_ident("doc").then(|| text.strip_prefix(' ').unwrap_or(&text).trim_end().to_owned())
}

/// Joins the lines of a paragraph, as Markdown means them. Lines that begin with anything but a word stay lines: items of
/// lists, tables, code.
fn unwrapped(lines: &[&str]) -> String {
    let mut text = String::new();
    let mut in_code = false;
    for line in lines {
        let goes_on = !in_code && !text.is_empty() && !text.ends_with('\n') && begins_with_a_word(line);
        in_code ^= line.trim_start().starts_with("```");
        text.push_str(if goes_on { " " } else { "\n" });
        text.push_str(line);
    }
    text.trim().to_owned()
}

fn begins_with_a_word(line: &str) -> bool {
    line.starts_with(|c: char| c.is_alphabetic() || matches!(c, '`' | '"' | '\'' | '(' | '['))
        && !line.starts_with("```")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(item: &str) -> Option<String> {
        text(&syn::parse_str::<syn::ItemFn>(item).unwrap().attrs)
    }

    #[test]
    fn the_lines_of_a_paragraph_are_one() {
        assert_eq!(of("/// Counts words\n/// and (also) lines.\nfn f() {}").unwrap(), "Counts words and (also) lines.");
        assert_eq!(of("/// One.\n///\n/// Two\n/// lines.\nfn f() {}").unwrap(), "One.\n\nTwo lines.");
    }

    #[test]
    fn lists_and_code_keep_their_lines() {
        assert_eq!(of("/// Any of:\n/// - a\n/// - b\nfn f() {}").unwrap(), "Any of:\n- a\n- b");
        assert_eq!(of("/// Such as\n/// ```\n/// a\n/// b\n/// ```\nfn f() {}").unwrap(), "Such as\n```\na\nb\n```");
    }

    #[test]
    fn an_empty_comment_is_none() {
        assert_eq!(of("fn f() {}"), None);
        assert_eq!(of("///  \nfn f() {}"), None);
        assert_eq!(of("#[doc(hidden)] fn f() {}"), None);
    }
}
