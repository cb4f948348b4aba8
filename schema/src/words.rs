//! The keywords of a schema. Each is enforced, or says nothing about values, or is refused: a word that is passed over in
//! silence would be a promise that nobody keeps.

/// What a keyword is to this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// It is enforced.
    Enforced,
    /// It says nothing about whether a value fits (JSON Schema Validation 2020-12 §7 to §9, Core §8.3).
    Remark,
    /// It is not taken, and why.
    Refused(&'static str),
}

pub(crate) fn word(name: &str) -> Word {
    if name.starts_with("x-") {
        return Word::Remark;
    }
    let known = WORDS.iter().find(|(names, _)| names.contains(&name));
    known.map_or(Word::Refused("no such keyword in draft 2020-12; remarks of your own begin with `x-`"), |(_, word)| {
        *word
    })
}

const WORDS: [(&[&str], Word); 9] = [
    (
        &[
            "$defs",
            "$ref",
            "additionalProperties",
            "allOf",
            "anyOf",
            "const",
            "contains",
            "dependentRequired",
            "dependentSchemas",
            "else",
            "enum",
            "exclusiveMaximum",
            "exclusiveMinimum",
            "if",
            "items",
            "maxContains",
            "maxItems",
            "maxLength",
            "maxProperties",
            "maximum",
            "minContains",
            "minItems",
            "minLength",
            "minProperties",
            "minimum",
            "multipleOf",
            "not",
            "oneOf",
            "pattern",
            "patternProperties",
            "prefixItems",
            "properties",
            "propertyNames",
            "required",
            "then",
            "type",
            "unevaluatedProperties",
            "uniqueItems",
        ],
        Word::Enforced,
    ),
    (
        &[
            "$comment",
            "contentEncoding",
            "contentMediaType",
            "contentSchema",
            "default",
            "deprecated",
            "description",
            "examples",
            "format",
            "readOnly",
            "title",
            "writeOnly",
        ],
        Word::Remark,
    ),
    // Judged apart: it stands at the root alone.
    (&["$schema"], Word::Refused("only at the root")),
    (
        &["$id", "$anchor", "$dynamicAnchor", "$dynamicRef"],
        Word::Refused("schemas are referred to by `$ref` with a JSON pointer, `#/…`, alone"),
    ),
    (
        &["id", "$recursiveRef", "$recursiveAnchor", "extends", "disallow", "divisibleBy"],
        Word::Refused("a keyword of an older draft; write draft 2020-12, and refer by `$ref` with `#/…` alone"),
    ),
    (&["definitions"], Word::Refused("a keyword of an older draft; write `$defs`")),
    (&["dependencies"], Word::Refused("a keyword of an older draft; write `dependentRequired` or `dependentSchemas`")),
    (&["additionalItems"], Word::Refused("a keyword of an older draft; write `items` after `prefixItems`")),
    (
        &["$vocabulary", "unevaluatedItems"],
        Word::Refused("not taken; say what a list holds by `prefixItems` and `items`"),
    ),
];

/// The draft that is taken; without `$schema` it is this one.
pub(crate) const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";
