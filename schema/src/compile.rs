//! From JSON to nodes. Each schema is looked at once, however often it is referred to; a circle of references is refused.

use std::collections::HashMap;

use serde_json::{Map, Number, Value};

use crate::limits::{ENUM_VALUES_MAX, PATTERNS_MAX, PATTERNS_MEMORY_MAX, SCHEMA_DEPTH_MAX, SCHEMA_SIZE_MAX};
use crate::node::{Check, Choice, Node, NodeId, OfList, OfNumber, OfObject, OfText, Type};
use crate::number::{Exact, exact};
use crate::pattern::Pattern;
use crate::words::{DRAFT, Word, word};
use crate::{Schema, SchemaError, short};

type Keywords = Map<String, Value>;

pub(crate) fn compile(root: &Value) -> Result<Schema, SchemaError> {
    let mut compiler = Compiler {
        root,
        known: HashMap::new(),
        nodes: Vec::new(),
        place: Vec::new(),
        patterns_left: PATTERNS_MAX,
        memory_left: PATTERNS_MEMORY_MAX,
    };
    let compiled = compiler.draft().and_then(|()| compiler.schema(root, 0));
    let compiled = compiled.and_then(|root| compiler.bounded(root));
    match compiled {
        Ok(root) => Ok(Schema { nodes: compiler.nodes, root }),
        Err(what) => Err(SchemaError::At { place: compiler.place(), what }),
    }
}

struct Compiler<'v> {
    root: &'v Value,
    // By the address of the value: the same one may be reached by its place and by references. None while it is open.
    known: HashMap<usize, Option<NodeId>>,
    nodes: Vec<Node>,
    // Where it stands; stays as it is at the first error.
    place: Vec<&'v str>,
    patterns_left: usize,
    memory_left: usize,
}

impl<'v> Compiler<'v> {
    fn draft(&self) -> Result<(), String> {
        match self.root.get("$schema") {
            None => Ok(()),
            Some(Value::String(draft)) if draft.trim_end_matches('#') == DRAFT => Ok(()),
            Some(other) => {
                Err(format!("`$schema` is {}; only draft 2020-12, \"{DRAFT}\", is taken", short::json(other)))
            }
        }
    }

    fn place(&self) -> String {
        let mut place = "#".to_owned();
        for step in &self.place {
            place = format!("{place}/{}", short::name(&step.replace('~', "~0").replace('/', "~1")));
            if place.len() > PLACE_BYTES_MAX {
                return format!("{place}/…");
            }
        }
        place
    }

    fn bounded(&self, root: NodeId) -> Result<NodeId, String> {
        let size = self.nodes.get(root.0).map_or(u64::MAX, |node| node.size);
        if size > SCHEMA_SIZE_MAX {
            return Err(format!("with its references followed it has over {SCHEMA_SIZE_MAX} checks"));
        }
        Ok(root)
    }

    fn schema(&mut self, value: &'v Value, depth: usize) -> Result<NodeId, String> {
        let too_deep = || format!("with its references followed it has over {SCHEMA_DEPTH_MAX} levels");
        if depth > SCHEMA_DEPTH_MAX {
            return Err(too_deep());
        }
        let address = std::ptr::from_ref(value).addr();
        match self.known.get(&address) {
            Some(Some(id)) => {
                let below = self.nodes.get(id.0).map_or(0, |node| node.depth);
                return if depth + below > SCHEMA_DEPTH_MAX { Err(too_deep()) } else { Ok(*id) };
            }
            Some(None) => return Err("it is recursive: a reference leads back to a schema that it is in".to_owned()),
            None => {}
        }
        let id = NodeId(self.nodes.len());
        self.nodes.push(Node::default());
        self.known.insert(address, None);
        let checks = match value {
            Value::Bool(true) => Vec::new(),
            Value::Bool(false) => vec![Check::Never],
            Value::Object(keywords) => self.checks(keywords, id, depth)?,
            Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                return Err(format!("{} is no schema: an object or true or false must stand here", short::json(value)));
            }
        };
        let node = self.node(checks);
        if let Some(place) = self.nodes.get_mut(id.0) {
            *place = node;
        }
        self.known.insert(address, Some(id));
        Ok(id)
    }

    fn node(&self, checks: Vec<Check>) -> Node {
        let (mut size, mut depth) = (1_u64, 0);
        for check in &checks {
            size = size.saturating_add(check.own_size());
            for below in check.nodes().iter().filter_map(|id| self.nodes.get(id.0)) {
                size = size.saturating_add(below.size);
                depth = depth.max(below.depth);
            }
        }
        Node { checks, size, depth: depth + 1 }
    }

    fn checks(&mut self, keywords: &'v Keywords, own: NodeId, depth: usize) -> Result<Vec<Check>, String> {
        for name in keywords.keys() {
            let is_draft = name == "$schema" && depth == 0;
            if let Word::Refused(why) = word(name)
                && !is_draft
            {
                return Err(format!("the keyword `{}` is not taken: {why}", short::name(name)));
            }
        }
        let mut checks = Vec::new();
        plain(keywords, &mut checks)?;
        numbers(keywords, &mut checks)?;
        self.texts(keywords, &mut checks)?;
        self.lists(keywords, depth, &mut checks)?;
        self.objects(keywords, depth, &mut checks)?;
        self.choices(keywords, depth, &mut checks)?;
        if let Some(rest) = self.below(keywords, "unevaluatedProperties", depth)? {
            checks.push(Check::Object(OfObject::Unevaluated { of: own, rest }));
        }
        // What nobody refers to is judged too: its author meant it to be taken.
        self.named(keywords, "$defs", depth)?;
        Ok(checks)
    }

    fn texts(&mut self, keywords: &'v Keywords, checks: &mut Vec<Check>) -> Result<(), String> {
        checks.extend(count(keywords, "minLength")?.map(|min| Check::Text(OfText::MinLength(min))));
        checks.extend(count(keywords, "maxLength")?.map(|max| Check::Text(OfText::MaxLength(max))));
        if let Some(pattern) = keywords.get("pattern") {
            let text = pattern.as_str().ok_or("`pattern` must be a text")?;
            checks.push(Check::Text(OfText::Pattern(Box::new(self.pattern(text)?))));
        }
        Ok(())
    }

    fn pattern(&mut self, text: &str) -> Result<Pattern, String> {
        self.patterns_left =
            self.patterns_left.checked_sub(1).ok_or_else(|| format!("it has more than {PATTERNS_MAX} patterns"))?;
        let pattern = Pattern::compile(text, self.memory_left)?;
        self.memory_left = self.memory_left.saturating_sub(pattern.memory());
        Ok(pattern)
    }

    fn lists(&mut self, keywords: &'v Keywords, depth: usize, checks: &mut Vec<Check>) -> Result<(), String> {
        checks.extend(count(keywords, "minItems")?.map(|min| Check::List(OfList::MinItems(min))));
        checks.extend(count(keywords, "maxItems")?.map(|max| Check::List(OfList::MaxItems(max))));
        if flag(keywords, "uniqueItems")? {
            checks.push(Check::List(OfList::Unique));
        }
        if keywords.get("items").is_some_and(Value::is_array) {
            return Err("`items` is a list, as in older drafts; write `prefixItems`".to_owned());
        }
        let prefix = self.some(keywords, "prefixItems", depth)?.unwrap_or_default();
        let rest = self.below(keywords, "items", depth)?;
        if !prefix.is_empty() || rest.is_some() {
            checks.push(Check::List(OfList::Items { prefix, rest }));
        }
        let (min, max) = (count(keywords, "minContains")?, count(keywords, "maxContains")?);
        if let Some(what) = self.below(keywords, "contains", depth)? {
            checks.push(Check::List(OfList::Contains { what, min: min.unwrap_or(1), max }));
        }
        Ok(())
    }

    fn objects(&mut self, keywords: &'v Keywords, depth: usize, checks: &mut Vec<Check>) -> Result<(), String> {
        checks.extend(count(keywords, "minProperties")?.map(|min| Check::Object(OfObject::MinProperties(min))));
        checks.extend(count(keywords, "maxProperties")?.map(|max| Check::Object(OfObject::MaxProperties(max))));
        if let Some(required) = keywords.get("required") {
            checks.push(Check::Object(OfObject::Required(names("required", required)?)));
        }
        if let Some(dependent) = keywords.get("dependentRequired") {
            let dependent = dependent.as_object().ok_or("`dependentRequired` must be an object of lists of names")?;
            let dependent = dependent.iter().map(|(name, of)| Ok((name.clone(), names("dependentRequired", of)?)));
            checks.push(Check::Object(OfObject::DependentRequired(dependent.collect::<Result<_, String>>()?)));
        }
        let named = self.named(keywords, "properties", depth)?;
        let mut patterns = Vec::new();
        for (text, node) in self.named(keywords, "patternProperties", depth)? {
            patterns.push((self.pattern(text)?, node));
        }
        let rest = self.below(keywords, "additionalProperties", depth)?;
        if !named.is_empty() || !patterns.is_empty() || rest.is_some() {
            let named = named.into_iter().map(|(name, node)| (name.to_owned(), node)).collect();
            checks.push(Check::Object(OfObject::Properties { named, patterns, rest }));
        }
        checks.extend(self.below(keywords, "propertyNames", depth)?.map(|node| Check::Object(OfObject::Names(node))));
        Ok(())
    }

    fn choices(&mut self, keywords: &'v Keywords, depth: usize, checks: &mut Vec<Check>) -> Result<(), String> {
        if let Some(reference) = keywords.get("$ref") {
            checks.push(Check::Choice(Choice::Reference(self.referred(reference, depth)?)));
        }
        checks.extend(self.some(keywords, "allOf", depth)?.map(|all| Check::Choice(Choice::AllOf(all))));
        checks.extend(self.some(keywords, "anyOf", depth)?.map(|any| Check::Choice(Choice::AnyOf(any))));
        checks.extend(self.some(keywords, "oneOf", depth)?.map(|one| Check::Choice(Choice::OneOf(one))));
        checks.extend(self.below(keywords, "not", depth)?.map(|not| Check::Choice(Choice::Not(not))));
        let (then, otherwise) = (self.below(keywords, "then", depth)?, self.below(keywords, "else", depth)?);
        if let Some(condition) = self.below(keywords, "if", depth)? {
            checks.push(Check::Choice(Choice::If { condition, then, otherwise }));
        }
        let dependent = self.named(keywords, "dependentSchemas", depth)?;
        if !dependent.is_empty() {
            let dependent = dependent.into_iter().map(|(name, node)| (name.to_owned(), node)).collect();
            checks.push(Check::Choice(Choice::Dependent(dependent)));
        }
        Ok(())
    }

    /// The schema that a reference leads to, within this text alone.
    fn referred(&mut self, reference: &'v Value, depth: usize) -> Result<NodeId, String> {
        let shown = short::json(reference);
        let pointer = reference.as_str().and_then(|text| text.strip_prefix('#'));
        let pointer = pointer.filter(|pointer| !pointer.contains('%'));
        let Some(target) = pointer.and_then(|pointer| self.root.pointer(pointer)) else {
            return Err(format!("the reference {shown} leads nowhere; only `#/…` within the schema is taken"));
        };
        self.place.push("$ref");
        let id = self.schema(target, depth + 1)?;
        self.place.pop();
        Ok(id)
    }

    fn below(&mut self, keywords: &'v Keywords, name: &'v str, depth: usize) -> Result<Option<NodeId>, String> {
        let Some(value) = keywords.get(name) else { return Ok(None) };
        self.place.push(name);
        let id = self.schema(value, depth + 1)?;
        self.place.pop();
        Ok(Some(id))
    }

    /// A list of schemas, of which there must be one at least (JSON Schema 2020-12, `schemaArray`).
    fn some(&mut self, keywords: &'v Keywords, name: &'v str, depth: usize) -> Result<Option<Vec<NodeId>>, String> {
        let Some(value) = keywords.get(name) else { return Ok(None) };
        let values = value.as_array().ok_or_else(|| format!("`{name}` must be a list of schemas"))?;
        if values.is_empty() {
            return Err(format!("`{name}` is an empty list"));
        }
        self.place.push(name);
        let nodes = values.iter().map(|value| self.schema(value, depth + 1)).collect::<Result<_, _>>()?;
        self.place.pop();
        Ok(Some(nodes))
    }

    fn named(&mut self, keywords: &'v Keywords, name: &'v str, depth: usize) -> Result<Vec<(&'v str, NodeId)>, String> {
        let Some(value) = keywords.get(name) else { return Ok(Vec::new()) };
        let named = value.as_object().ok_or_else(|| format!("`{name}` must be an object of schemas"))?;
        self.place.push(name);
        let mut nodes = Vec::with_capacity(named.len());
        for (name, value) in named {
            self.place.push(name);
            nodes.push((name.as_str(), self.schema(value, depth + 1)?));
            self.place.pop();
        }
        self.place.pop();
        Ok(nodes)
    }
}

fn plain(keywords: &Keywords, checks: &mut Vec<Check>) -> Result<(), String> {
    if let Some(kinds) = keywords.get("type") {
        checks.push(Check::Type(types(kinds)?));
    }
    if let Some(values) = keywords.get("enum") {
        let values = values.as_array().ok_or("`enum` must be a list")?;
        if values.len() > ENUM_VALUES_MAX {
            return Err(format!("`enum` has {} values; at most {ENUM_VALUES_MAX} are taken", values.len()));
        }
        checks.push(Check::Enum(values.clone()));
    }
    checks.extend(keywords.get("const").map(|value| Check::Const(value.clone())));
    Ok(())
}

fn types(kinds: &Value) -> Result<Vec<Type>, String> {
    let one = |kind: &Value| {
        let name = kind.as_str().unwrap_or_default();
        Type::of_name(name).ok_or_else(|| format!("{} is no `type`", short::json(kind)))
    };
    match kinds.as_array().filter(|kinds| kinds.len() <= TYPES_MAX) {
        Some(kinds) => kinds.iter().map(one).collect(),
        None => Ok(vec![one(kinds)?]),
    }
}

fn numbers(keywords: &Keywords, checks: &mut Vec<Check>) -> Result<(), String> {
    for (name, kind) in [
        ("minimum", OfNumber::Minimum),
        ("exclusiveMinimum", OfNumber::ExclusiveMinimum),
        ("maximum", OfNumber::Maximum),
        ("exclusiveMaximum", OfNumber::ExclusiveMaximum),
        ("multipleOf", OfNumber::MultipleOf),
    ] {
        let Some(value) = keywords.get(name) else { continue };
        let Value::Number(limit) = value else { return Err(format!("`{name}` must be a number")) };
        if kind == OfNumber::MultipleOf && !is_above_zero(limit) {
            return Err("`multipleOf` must be above 0".to_owned());
        }
        checks.push(Check::Number(kind, limit.clone()));
    }
    Ok(())
}

fn is_above_zero(number: &Number) -> bool {
    number.as_f64().is_some_and(|number| number > 0.0)
}

fn count(keywords: &Keywords, name: &str) -> Result<Option<u64>, String> {
    let Some(value) = keywords.get(name) else { return Ok(None) };
    // 2.0 is the integer 2 too.
    let whole = value.as_number().and_then(|number| match exact(number) {
        Exact::Integer(integer) => u64::try_from(integer).ok(),
        Exact::Float(_) => None,
    });
    whole.map(Some).ok_or_else(|| format!("`{name}` must be a whole number, 0 or more"))
}

fn flag(keywords: &Keywords, name: &str) -> Result<bool, String> {
    let Some(value) = keywords.get(name) else { return Ok(false) };
    value.as_bool().ok_or_else(|| format!("`{name}` must be true or false"))
}

fn names(keyword: &str, value: &Value) -> Result<Vec<String>, String> {
    let fault = || format!("`{keyword}` must be a list of names");
    let values = value.as_array().ok_or_else(fault)?;
    values.iter().map(|name| Ok(name.as_str().ok_or_else(fault)?.to_owned())).collect()
}

/// `type` may name each once.
const TYPES_MAX: usize = 7;

/// Longest place that an error names.
const PLACE_BYTES_MAX: usize = 400;
