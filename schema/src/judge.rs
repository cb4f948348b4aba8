//! Judges a value by nodes. Every step is counted before it is done.

mod equal;

use std::collections::BTreeSet;
use std::time::Instant;

use serde_json::{Map, Value};

use crate::limits::{PROBLEMS_MAX, WORK_MAX};
use crate::node::{Check, Choice, NodeId, OfList, OfNumber, OfObject, OfText, Type};
use crate::number;
use crate::{Schema, short};

/// What judging one value may cost.
#[derive(Debug)]
pub struct Budget {
    deadline: Option<Instant>,
    left: u64,
    until_look: u64,
}

/// Why it is not known whether a value fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// It takes more steps than there are.
    #[error("it takes too many steps")]
    Work,
    /// The deadline is over.
    #[error("it takes too long")]
    Deadline,
}

impl Budget {
    /// [`WORK_MAX`] steps, and no more time than until `deadline`.
    #[must_use]
    pub fn until(deadline: Instant) -> Self {
        Self { deadline: Some(deadline), left: WORK_MAX, until_look: 0 }
    }

    /// So many steps, whatever the clock says.
    #[must_use]
    pub fn steps(steps: u64) -> Self {
        Self { deadline: None, left: steps, until_look: 0 }
    }

    /// Steps that are left.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.left
    }

    fn spend(&mut self, steps: u64) -> Result<(), Stop> {
        self.left = self.left.checked_sub(steps).ok_or(Stop::Work)?;
        match self.until_look.checked_sub(steps) {
            Some(until_look) => self.until_look = until_look,
            None => {
                self.until_look = LOOK_EVERY;
                if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                    return Err(Stop::Deadline);
                }
            }
        }
        Ok(())
    }
}

pub(crate) fn judge(schema: &Schema, value: &Value, budget: &mut Budget) -> Result<Vec<String>, Stop> {
    let mut judge = Judge { schema, budget, place: Vec::new(), problems: Vec::new() };
    if judge.node(schema.root, value, false)? {
        return Ok(Vec::new());
    }
    // Once more, to say what is wrong.
    judge.node(schema.root, value, true)?;
    if judge.problems.is_empty() {
        judge.say(|| "it does not fit the schema".to_owned());
    }
    Ok(judge.problems)
}

struct Judge<'s, 'v, 'b> {
    schema: &'s Schema,
    budget: &'b mut Budget,
    // Where in the value it is, while problems are told.
    place: Vec<Step<'v>>,
    problems: Vec<String>,
}

#[derive(Clone, Copy)]
enum Step<'v> {
    Name(&'v str),
    Index(usize),
}

impl<'s, 'v> Judge<'s, 'v, '_> {
    /// Whether `value` fits. All problems are told if `tell`; otherwise the first one is enough.
    fn node(&mut self, id: NodeId, value: &'v Value, tell: bool) -> Result<bool, Stop> {
        let schema = self.schema;
        let Some(node) = schema.node(id) else { return Ok(false) };
        self.budget.spend(1)?;
        let mut fits = true;
        for check in &node.checks {
            self.budget.spend(1)?;
            if !self.check(check, value, tell)? {
                fits = false;
                if !tell || self.problems.len() >= PROBLEMS_MAX {
                    break;
                }
            }
        }
        Ok(fits)
    }

    fn check(&mut self, check: &'s Check, value: &'v Value, tell: bool) -> Result<bool, Stop> {
        match (check, value) {
            (Check::Never, _) => Ok(self.holds(false, tell, || "nothing may stand here".to_owned())),
            (Check::Type(types), _) => {
                let fits = types.iter().any(|kind| is_of(*kind, value));
                Ok(self.holds(fits, tell, || not_of(types, value)))
            }
            (Check::Enum(values), _) => {
                let mut fits = false;
                for allowed in values {
                    fits = fits || self.equal(allowed, value)?;
                }
                Ok(self.holds(fits, tell, || {
                    format!("{} is not one of {}", short::json(value), short::json(&Value::Array(values.clone())))
                }))
            }
            (Check::Const(wanted), _) => {
                let fits = self.equal(wanted, value)?;
                Ok(self.holds(fits, tell, || format!("{} was expected", short::json(wanted))))
            }
            (Check::Number(kind, limit), Value::Number(_)) => {
                let fits = number_fits(*kind, limit, value);
                Ok(self.holds(fits, tell, || number_problem(*kind, limit, value)))
            }
            (Check::Text(check), Value::String(text)) => self.text(check, text, tell),
            (Check::List(check), Value::Array(values)) => self.list(check, values, value, tell),
            (Check::Object(check), Value::Object(members)) => self.object(check, members, value, tell),
            (Check::Choice(choice), _) => self.choice(choice, value, tell),
            // A keyword for another type says nothing about this one.
            (Check::Number(..) | Check::Text(_) | Check::List(_) | Check::Object(_), _) => Ok(true),
        }
    }

    fn text(&mut self, check: &'s OfText, text: &'v str, tell: bool) -> Result<bool, Stop> {
        match check {
            OfText::MinLength(min) => {
                let fits = self.length(text)? >= *min;
                Ok(self.holds(fits, tell, || format!("{} is shorter than {}", shown(text), characters(*min))))
            }
            OfText::MaxLength(max) => {
                let fits = self.length(text)? <= *max;
                Ok(self.holds(fits, tell, || format!("{} is longer than {}", shown(text), characters(*max))))
            }
            OfText::Pattern(pattern) => {
                self.budget.spend(pattern.steps(text))?;
                let fits = pattern.is_in(text);
                Ok(self
                    .holds(fits, tell, || format!("{} does not match \"{}\"", shown(text), short::name(&pattern.text))))
            }
        }
    }

    /// In characters, as RFC 8259 counts them.
    fn length(&mut self, text: &str) -> Result<u64, Stop> {
        self.budget.spend(text.len() as u64 / BYTES_A_STEP)?;
        Ok(text.chars().count() as u64)
    }

    fn list(&mut self, check: &'s OfList, values: &'v [Value], whole: &'v Value, tell: bool) -> Result<bool, Stop> {
        let count = values.len() as u64;
        match check {
            OfList::MinItems(min) => {
                Ok(self.holds(count >= *min, tell, || format!("{} has less than {}", short::json(whole), items(*min))))
            }
            OfList::MaxItems(max) => {
                Ok(self.holds(count <= *max, tell, || format!("{} has more than {}", short::json(whole), items(*max))))
            }
            OfList::Unique => {
                let fits = self.are_unique(values)?;
                Ok(self.holds(fits, tell, || format!("{} has non-unique elements", short::json(whole))))
            }
            OfList::Items { prefix, rest } => {
                let nodes = prefix.iter().map(Some).chain(std::iter::repeat(rest.as_ref()));
                let mut fits = true;
                for (index, (value, node)) in values.iter().zip(nodes).enumerate() {
                    let Some(node) = node else { break };
                    fits &= self.below(Step::Index(index), *node, value, tell)?;
                    if !fits && !self.goes_on(tell) {
                        break;
                    }
                }
                Ok(fits)
            }
            OfList::Contains { what, min, max } => {
                let mut found = 0;
                for value in values {
                    found += u64::from(self.node(*what, value, false)?);
                }
                let fits = found >= *min && max.is_none_or(|max| found <= max);
                Ok(self.holds(fits, tell, || {
                    let most = max.map_or_else(String::new, |max| format!(", and at most {max}"));
                    format!("{found} of its elements fit `contains`; at least {min}{most} must")
                }))
            }
        }
    }

    fn object(
        &mut self,
        check: &'s OfObject,
        members: &'v Map<String, Value>,
        whole: &'v Value,
        tell: bool,
    ) -> Result<bool, Stop> {
        let count = members.len() as u64;
        match check {
            OfObject::MinProperties(min) => {
                Ok(self.holds(count >= *min, tell, || format!("{} has less than {min} properties", short::json(whole))))
            }
            OfObject::MaxProperties(max) => {
                Ok(self.holds(count <= *max, tell, || format!("{} has more than {max} properties", short::json(whole))))
            }
            OfObject::Required(names) => self.required(names, members, tell),
            OfObject::DependentRequired(dependent) => {
                let mut fits = true;
                for (name, names) in dependent {
                    self.budget.spend(1)?;
                    if members.contains_key(name) {
                        fits &= self.required(names, members, tell)?;
                    }
                }
                Ok(fits)
            }
            OfObject::Names(node) => {
                for name in members.keys() {
                    // Its place is the object's: it has none of its own.
                    let fits = self.name_fits(*node, name)?;
                    if !self.holds(fits, tell, || format!("the name {} is not allowed", shown(name))) {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            OfObject::Properties { .. } => self.properties(check, members, tell),
            OfObject::Unevaluated { of, rest } => {
                let mut seen = BTreeSet::new();
                self.evaluated(*of, whole, members, &mut seen)?;
                let mut fits = true;
                for (name, value) in members.iter().filter(|(name, _)| !seen.contains(name.as_str())) {
                    fits &= self.rest(*rest, name, value, tell)?;
                    if !fits && !self.goes_on(tell) {
                        break;
                    }
                }
                Ok(fits)
            }
        }
    }

    fn required(&mut self, names: &'s [String], members: &Map<String, Value>, tell: bool) -> Result<bool, Stop> {
        let mut fits = true;
        for name in names {
            self.budget.spend(1 + name.len() as u64 / BYTES_A_STEP)?;
            let is_there = members.contains_key(name);
            fits &= self.holds(is_there, tell, || format!("{} is a required property", shown(name)));
            if !fits && !self.goes_on(tell) {
                break;
            }
        }
        Ok(fits)
    }

    /// Judges a name as the text that it is.
    fn name_fits(&mut self, node: NodeId, name: &str) -> Result<bool, Stop> {
        self.budget.spend(1 + name.len() as u64 / BYTES_A_STEP)?;
        let name = Value::from(name);
        let mut judge = Judge { schema: self.schema, budget: self.budget, place: Vec::new(), problems: Vec::new() };
        judge.node(node, &name, false)
    }

    fn properties(&mut self, check: &'s OfObject, members: &'v Map<String, Value>, tell: bool) -> Result<bool, Stop> {
        let OfObject::Properties { named, patterns, rest } = check else { return Ok(true) };
        let mut fits = true;
        for (name, value) in members {
            self.budget.spend(1 + name.len() as u64 / BYTES_A_STEP)?;
            let own = named.get(name);
            let mut is_known = own.is_some();
            if let Some(node) = own {
                fits &= self.below(Step::Name(name), *node, value, tell)?;
            }
            for (pattern, node) in patterns {
                self.budget.spend(pattern.steps(name))?;
                if pattern.is_in(name) {
                    is_known = true;
                    fits &= self.below(Step::Name(name), *node, value, tell)?;
                }
            }
            if let Some(node) = rest
                && !is_known
            {
                fits &= self.rest(*node, name, value, tell)?;
            }
            if !fits && !self.goes_on(tell) {
                break;
            }
        }
        Ok(fits)
    }

    /// A property that no other keyword knows.
    fn rest(&mut self, node: NodeId, name: &'v str, value: &'v Value, tell: bool) -> Result<bool, Stop> {
        let is_never = self.schema.node(node).is_some_and(|node| matches!(node.checks.as_slice(), [Check::Never]));
        if is_never {
            let unexpected =
                || format!("Additional properties are not allowed ('{}' was unexpected)", short::name(name));
            return Ok(self.holds(false, tell, unexpected));
        }
        self.below(Step::Name(name), node, value, tell)
    }

    fn choice(&mut self, choice: &'s Choice, value: &'v Value, tell: bool) -> Result<bool, Stop> {
        match choice {
            Choice::Reference(node) => self.node(*node, value, tell),
            Choice::AllOf(nodes) => {
                let mut fits = true;
                for node in nodes {
                    fits &= self.node(*node, value, tell)?;
                    if !fits && !self.goes_on(tell) {
                        break;
                    }
                }
                Ok(fits)
            }
            Choice::AnyOf(nodes) => {
                for node in nodes {
                    if self.node(*node, value, false)? {
                        return Ok(true);
                    }
                }
                Ok(self.holds(false, tell, || {
                    format!("{} is not valid under any of the schemas listed in 'anyOf'", short::json(value))
                }))
            }
            Choice::OneOf(nodes) => {
                let mut count = 0;
                for node in nodes {
                    count += u64::from(self.node(*node, value, false)?);
                }
                let number = if count == 0 { "none" } else { "more than one" };
                Ok(self.holds(count == 1, tell, || {
                    format!("{} is valid under {number} of the schemas listed in 'oneOf'", short::json(value))
                }))
            }
            Choice::Not(node) => {
                let fits = !self.node(*node, value, false)?;
                Ok(self.holds(fits, tell, || format!("{} is what the schema rules out", short::json(value))))
            }
            Choice::If { condition, then, otherwise } => {
                let holds = self.node(*condition, value, false)?;
                match if holds { then } else { otherwise } {
                    Some(node) => self.node(*node, value, tell),
                    None => Ok(true),
                }
            }
            Choice::Dependent(dependent) => {
                let Value::Object(members) = value else { return Ok(true) };
                let mut fits = true;
                for (name, node) in dependent {
                    self.budget.spend(1)?;
                    if members.contains_key(name) {
                        fits &= self.node(*node, value, tell)?;
                    }
                }
                Ok(fits)
            }
        }
    }

    /// Puts the properties that the checks of a node have looked at into `seen` (Core §11.3), but for those that its own
    /// `unevaluatedProperties` looks at.
    fn evaluated(
        &mut self,
        id: NodeId,
        whole: &'v Value,
        members: &'v Map<String, Value>,
        seen: &mut BTreeSet<&'v str>,
    ) -> Result<(), Stop> {
        let schema = self.schema;
        for check in schema.node(id).into_iter().flat_map(|node| &node.checks) {
            self.budget.spend(1)?;
            let through: Vec<NodeId> = match check {
                Check::Object(OfObject::Properties { named, patterns, rest }) => {
                    for name in members.keys() {
                        let mut is_known = rest.is_some() || named.contains_key(name);
                        self.budget.spend(1 + name.len() as u64 / BYTES_A_STEP)?;
                        for (pattern, _) in patterns {
                            self.budget.spend(pattern.steps(name))?;
                            is_known = is_known || pattern.is_in(name);
                        }
                        if is_known {
                            seen.insert(name);
                        }
                    }
                    Vec::new()
                }
                Check::Choice(Choice::Reference(node)) => vec![*node],
                Check::Choice(Choice::AllOf(nodes)) => nodes.clone(),
                Check::Choice(Choice::AnyOf(nodes) | Choice::OneOf(nodes)) => self.fitting(nodes, whole)?,
                Check::Choice(Choice::If { condition, then, otherwise }) => {
                    if self.node(*condition, whole, false)? {
                        [*condition].into_iter().chain(*then).collect()
                    } else {
                        otherwise.iter().copied().collect()
                    }
                }
                Check::Choice(Choice::Dependent(dependent)) => {
                    let there = dependent.iter().filter(|(name, _)| members.contains_key(name));
                    there.map(|(_, node)| *node).collect()
                }
                Check::Never
                | Check::Type(_)
                | Check::Enum(_)
                | Check::Const(_)
                | Check::Number(..)
                | Check::Text(_)
                | Check::List(_)
                | Check::Object(_)
                | Check::Choice(Choice::Not(_)) => Vec::new(),
            };
            for node in through {
                if self.has_unevaluated(node) {
                    // It has looked at all of them.
                    seen.extend(members.keys().map(String::as_str));
                }
                self.evaluated(node, whole, members, seen)?;
            }
        }
        Ok(())
    }

    fn fitting(&mut self, nodes: &[NodeId], value: &'v Value) -> Result<Vec<NodeId>, Stop> {
        let mut fitting = Vec::new();
        for node in nodes {
            if self.node(*node, value, false)? {
                fitting.push(*node);
            }
        }
        Ok(fitting)
    }

    fn has_unevaluated(&self, id: NodeId) -> bool {
        let checks = self.schema.node(id).map(|node| node.checks.as_slice()).unwrap_or_default();
        checks.iter().any(|check| matches!(check, Check::Object(OfObject::Unevaluated { .. })))
    }

    fn below(&mut self, step: Step<'v>, node: NodeId, value: &'v Value, tell: bool) -> Result<bool, Stop> {
        if !tell {
            return self.node(node, value, false);
        }
        self.place.push(step);
        let fits = self.node(node, value, true)?;
        self.place.pop();
        Ok(fits)
    }

    /// `fits`, told if it does not hold.
    fn holds(&mut self, fits: bool, tell: bool, problem: impl FnOnce() -> String) -> bool {
        if !fits && tell {
            self.say(problem);
        }
        fits
    }

    fn goes_on(&self, tell: bool) -> bool {
        tell && self.problems.len() < PROBLEMS_MAX
    }

    fn say(&mut self, problem: impl FnOnce() -> String) {
        if self.problems.len() >= PROBLEMS_MAX {
            return;
        }
        let at = if self.place.is_empty() { "the arguments".to_owned() } else { format!("`{}`", self.pointer()) };
        self.problems.push(format!("at {at}: {}", problem()));
    }

    fn pointer(&self) -> String {
        let mut pointer = String::new();
        for step in &self.place {
            if pointer.len() > POINTER_BYTES_MAX {
                return format!("{pointer}/…");
            }
            pointer.push('/');
            match step {
                Step::Name(name) => pointer.push_str(&short::name(name).replace('~', "~0").replace('/', "~1")),
                Step::Index(index) => pointer.push_str(&index.to_string()),
            }
        }
        pointer
    }
}

fn is_of(kind: Type, value: &Value) -> bool {
    match (kind, value) {
        (Type::Null, Value::Null)
        | (Type::Boolean, Value::Bool(_))
        | (Type::Number, Value::Number(_))
        | (Type::String, Value::String(_))
        | (Type::Array, Value::Array(_))
        | (Type::Object, Value::Object(_)) => true,
        (Type::Integer, Value::Number(number)) => number::is_integer(number),
        _other => false,
    }
}

fn not_of(types: &[Type], value: &Value) -> String {
    let names: Vec<_> = types.iter().map(|kind| format!("\"{}\"", kind.as_str())).collect();
    let word = if names.len() == 1 { "type" } else { "types" };
    format!("{} is not of {word} {}", short::json(value), names.join(", "))
}

fn number_fits(kind: OfNumber, limit: &serde_json::Number, value: &Value) -> bool {
    let Value::Number(number) = value else { return true };
    let order = number::compare(number, limit);
    match kind {
        OfNumber::Minimum => order.is_ge(),
        OfNumber::ExclusiveMinimum => order.is_gt(),
        OfNumber::Maximum => order.is_le(),
        OfNumber::ExclusiveMaximum => order.is_lt(),
        OfNumber::MultipleOf => number::is_multiple(number, limit),
    }
}

fn number_problem(kind: OfNumber, limit: &serde_json::Number, value: &Value) -> String {
    let words = match kind {
        OfNumber::Minimum => "less than the minimum of",
        OfNumber::ExclusiveMinimum => "less than or equal to the minimum of",
        OfNumber::Maximum => "greater than the maximum of",
        OfNumber::ExclusiveMaximum => "greater than or equal to the maximum of",
        OfNumber::MultipleOf => "not a multiple of",
    };
    format!("{} is {words} {limit}", short::json(value))
}

fn shown(text: &str) -> String {
    format!("\"{}\"", short::name(text).escape_debug())
}

fn characters(count: u64) -> String {
    format!("{count} character{}", if count == 1 { "" } else { "s" })
}

fn items(count: u64) -> String {
    format!("{count} item{}", if count == 1 { "" } else { "s" })
}

/// Bytes that are compared or copied within one step.
const BYTES_A_STEP: u64 = 16;

/// Steps between two looks at the clock: less than a millisecond.
const LOOK_EVERY: u64 = 1 << 14;

/// Longest pointer that a problem names.
const POINTER_BYTES_MAX: usize = 400;
