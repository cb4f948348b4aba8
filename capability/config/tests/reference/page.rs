//! The page, from schemas and examples.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::Examples;
use crate::keys::{Item, items};

const ABOUT: &str = "\
<!-- Written by `cargo xtask schemas`, from the JSON Schemas and docs/reference. Do not edit it: the next run would undo it. -->

# Manifest and policy

All keys of `tool.toml`, the manifest, in which a tool's author says what the tool needs, and of `tollgate.toml`, the policy,
in which an operator says what each tool gets. What holds for a call is what both say: nothing granted means nothing allowed.
Keys that are not on this page are errors. [grants.md](grants.md) says how to grant; editors take the
[schema of the manifest](../capability/config/schema/tool.schema.json) and [that of the policy](../capability/config/schema/tollgate.schema.json).

Each key has an example in which it denies something; where one command cannot show that (`calls`, `workers`, `agents`, clocks,
texts for people), in which a value of it is refused, or something withheld. The examples are run as tests, with the example tools and hostile
guests of this repository, in a folder that holds `docs/a.txt`, `docs/b.txt` and `secret.txt`; `…` stands for what is left out.
`tool.toml` lies beside the component there. Where a `tool.toml` has no `[tool]`, its `[tool]` and `[[operations]]` are the
tool's own.

";

/// A file's schema and the examples of its keys.
type File<'a> = (&'a Value, &'a Examples);

pub(crate) fn page(manifest: File<'_>, policy: File<'_>) -> String {
    let types = Types::of([manifest.0, policy.0]);
    let files = [("tool.toml", manifest), ("tollgate.toml", policy)];
    let mut page = ABOUT.to_owned();
    for (name, (schema, _)) in files {
        writeln!(page, "**[`{name}`](#{})**\n", anchor(name)).unwrap();
        contents(&mut page, &items(schema));
    }
    writeln!(page, "**[Types](#types)**\n").unwrap();
    let links: Vec<_> = types.shared().map(|(name, _)| link(name, &heading(name))).collect();
    writeln!(page, "- {}\n", links.join(", ")).unwrap();
    for (name, (schema, examples)) in files {
        writeln!(page, "## `{name}`\n").unwrap();
        for (head, keys) in sections(&items(schema)) {
            page.push_str(&head.map(table).unwrap_or_default());
            keys.into_iter().for_each(|key| page.push_str(&types.key(key, &examples[&key.file_stem()])));
        }
    }
    writeln!(page, "## Types\n").unwrap();
    for (name, schema) in types.shared() {
        writeln!(page, "### {}\n\n{}", heading(name), about(schema)).unwrap();
        page.push_str(&words_table(schema));
    }
    assert_anchors(&page);
    format!("{}\n", page.trim_end())
}

/// The keys of no table, then each table with its own.
fn sections(items: &[Item]) -> Vec<(Option<&Item>, Vec<&Item>)> {
    let keys = |table: &str| -> Vec<&Item> {
        items.iter().filter(|item| !item.is_table && holder(items, &item.path) == table).collect()
    };
    let tables = items.iter().filter(|item| item.is_table).map(|table| (Some(table), keys(&table.path)));
    let plain = (None, keys(""));
    std::iter::once(plain).filter(|(_, keys)| !keys.is_empty()).chain(tables).collect()
}

/// The table that a key stands in: the longest that its path begins with.
fn holder<'i>(items: &'i [Item], path: &str) -> &'i str {
    let tables = items.iter().filter(|item| item.is_table).map(|item| item.path.as_str());
    tables.filter(|table| path.starts_with(&format!("{table}."))).max_by_key(|table| table.len()).unwrap_or("")
}

/// A line for each table, with its keys.
fn contents(page: &mut String, items: &[Item]) {
    for (table, keys) in sections(items) {
        let table = table.map_or("", |table| table.path.as_str());
        let name = |path: &str| path.strip_prefix(table).unwrap_or(path).trim_start_matches('.').to_owned();
        let keys: Vec<_> = keys.iter().map(|key| link(&format!("`{}`", name(&key.path)), &key.path)).collect();
        let title = table_title(table);
        let head = if table.is_empty() { Vec::new() } else { vec![link(&format!("`{title}`"), &title)] };
        let parts: Vec<_> =
            [head, keys].into_iter().filter(|part| !part.is_empty()).map(|part| part.join(", ")).collect();
        writeln!(page, "- {}", parts.join(": ")).unwrap();
    }
    page.push('\n');
}

/// As the table's head is written: `[limits]`, `[[needs.fs]]`.
fn table_title(path: &str) -> String {
    path.strip_suffix("[]").map_or_else(|| format!("[{path}]"), |list| format!("[[{list}]]"))
}

fn table(item: &Item) -> String {
    let (title, about) = (table_title(&item.path), about(&item.schema));
    let count = counted(&item.schema).map(|count| format!("*{count}*\n\n")).unwrap_or_default();
    format!("### `{title}`\n\n{about}\n{count}")
}

/// The types that have a name, and how many keys use each.
struct Types<'s> {
    schemas: BTreeMap<&'s str, &'s Map<String, Value>>,
    uses: BTreeMap<String, usize>,
}

impl<'s> Types<'s> {
    fn of(roots: [&'s Value; 2]) -> Self {
        let mut types = Self { schemas: BTreeMap::new(), uses: BTreeMap::new() };
        for root in roots {
            let named = root["$defs"].as_object().unwrap();
            types.schemas.extend(named.iter().map(|(name, schema)| (name.as_str(), schema.as_object().unwrap())));
        }
        for item in roots.into_iter().flat_map(items).filter(|item| !item.is_table) {
            let each = item.schema.get("items").and_then(Value::as_object).unwrap_or(&item.schema);
            if let Some(reference) = each.get("$ref") {
                *types.uses.entry(name_of(reference).to_owned()).or_default() += 1;
            }
        }
        types
    }

    /// Those that several keys use: they are described once.
    fn shared(&self) -> impl Iterator<Item = (&'s str, &'s Map<String, Value>)> {
        self.schemas.iter().filter(|(name, _)| self.is_shared(name)).map(|(name, schema)| (*name, *schema))
    }

    fn is_shared(&self, name: &str) -> bool {
        self.uses.get(name).is_some_and(|uses| *uses > 1)
    }

    fn key(&self, item: &Item, example: &str) -> String {
        let Item { path, schema, .. } = item;
        let mut facts = vec![self.kind(schema)];
        facts.extend(counted(schema));
        facts.extend(range(schema));
        match schema.get("default") {
            Some(default) => facts.push(format!("default `{default}`")),
            None if item.required => facts.push("required".to_owned()),
            None => {}
        }
        let words = match self.own(schema) {
            Some(own) => words_table(own),
            None => String::new(),
        };
        format!("#### `{path}`\n\n{}\n*{}*\n\n{words}{}\n\n", about(schema), facts.join(" · "), example.trim())
    }

    /// The type with words of its own that only this key has.
    fn own(&self, schema: &Map<String, Value>) -> Option<&'s Map<String, Value>> {
        let name = name_of(schema.get("$ref")?);
        if self.is_shared(name) { None } else { self.schemas.get(name).copied() }
    }

    /// What kind of value it takes.
    fn kind(&self, schema: &Map<String, Value>) -> String {
        if let Some(reference) = schema.get("$ref") {
            let name = name_of(reference);
            return if self.is_shared(name) { link(name, &heading(name)) } else { self.kind(self.schemas[name]) };
        }
        if let Some(choices) = schema.get("anyOf").and_then(Value::as_array) {
            let kinds: Vec<_> = choices.iter().map(|choice| self.kind(choice.as_object().unwrap())).collect();
            return kinds.join(" or ");
        }
        let words = words(schema);
        if !words.is_empty() {
            let words: Vec<_> = words.into_iter().map(|(word, _)| format!("`\"{word}\"`")).collect();
            return words.join(" or ");
        }
        match schema["type"].as_str().unwrap() {
            "array" => match self.kind(schema["items"].as_object().unwrap()).as_str() {
                "string" => "list of strings".to_owned(),
                "whole number" => "list of whole numbers".to_owned(),
                other => format!("list of {other}"),
            },
            "object" => "table".to_owned(),
            "integer" => "whole number".to_owned(),
            "boolean" if schema.get("const") == Some(&Value::Bool(true)) => "`true`".to_owned(),
            "boolean" => "`true` or `false`".to_owned(),
            other => other.to_owned(),
        }
    }
}

/// The words that a value may be, each with what it means.
fn words(schema: &Map<String, Value>) -> Vec<(&str, &str)> {
    let plain = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    let plain = plain.map(|word| (word.as_str().unwrap(), ""));
    let told = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    let told = told.map(|word| (word["const"].as_str().unwrap(), word["description"].as_str().unwrap()));
    plain.chain(told).collect()
}

fn words_table(schema: &Map<String, Value>) -> String {
    let words = words(schema);
    if words.iter().all(|(_, meaning)| meaning.is_empty()) {
        let words: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        return if words.is_empty() { String::new() } else { format!("{}\n\n", words.join(", ")) };
    }
    let rows: String = words.iter().map(|(word, meaning)| format!("| `{word}` | {} |\n", one_line(meaning))).collect();
    format!("| word | meaning |\n|---|---|\n{rows}\n")
}

/// How long a text or a list may be.
fn counted(schema: &Map<String, Value>) -> Option<String> {
    let number = |word: &str| schema.get(word).and_then(Value::as_u64);
    let told = |least: Option<u64>, most: Option<u64>, what: &str| match (least, most) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}{what}")),
        (None, Some(most)) => Some(format!("at most {most}{what}")),
        (Some(least), None) => Some(format!("at least {least}{what}")),
        (None, None) => None,
    };
    let items = told(number("minItems"), number("maxItems"), " of them");
    let text = told(number("minLength"), number("maxLength"), " bytes");
    let pattern = schema.get("pattern").and_then(Value::as_str).map(|pattern| format!("matches `{pattern}`"));
    let facts: Vec<String> = [items, text, pattern].into_iter().flatten().collect();
    if facts.is_empty() { None } else { Some(facts.join(" · ")) }
}

/// From the least to the most.
fn range(schema: &Map<String, Value>) -> Option<String> {
    let bound = |words: [&str; 2]| words.into_iter().find_map(|word| schema.get(word));
    let (least, most) = (bound(["minimum", "x-minimum"])?, bound(["maximum", "x-maximum"])?);
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Some(format!("{} to {}", plain(least), plain(most)))
}

/// The description in paragraphs of a line each.
fn about(schema: &Map<String, Value>) -> String {
    let text =
        schema.get("description").and_then(Value::as_str).unwrap_or_else(|| panic!("no description: {schema:?}"));
    text.split("\n\n").map(|paragraph| format!("{}\n", one_line(paragraph))).collect::<Vec<_>>().join("\n")
}

fn one_line(text: &str) -> String {
    text.split('\n').map(str::trim).collect::<Vec<_>>().join(" ")
}

fn name_of(reference: &Value) -> &str {
    reference.as_str().unwrap().trim_start_matches("#/$defs/")
}

/// Apart from the keys that have the same name.
fn heading(type_name: &str) -> String {
    format!("Type {type_name}")
}

fn link(text: &str, heading: &str) -> String {
    format!("[{text}](#{})", anchor(heading))
}

/// As GitHub makes it of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || ['-', '_', ' '].contains(c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// Every link within the page leads somewhere, and no two headings have the same anchor.
fn assert_anchors(page: &str) {
    let headings = page.lines().filter(|line| line.starts_with('#') && !line.starts_with("# "));
    let mut anchors: Vec<String> = headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect();
    for target in page.split("](#").skip(1) {
        let target = target.split(')').next().unwrap();
        assert!(anchors.iter().any(|anchor| anchor == target), "no heading for #{target}");
    }
    anchors.sort();
    let twice = anchors.windows(2).find(|pair| pair[0] == pair[1]);
    assert!(twice.is_none(), "two headings: {twice:?}");
}
