//! A schema as it is judged by: nodes that refer to each other by number, never in a circle.

use std::collections::BTreeMap;

use serde_json::{Number, Value};

use crate::pattern::Pattern;

/// The place of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeId(pub(crate) usize);

/// One schema.
#[derive(Debug, Default)]
pub(crate) struct Node {
    pub(crate) checks: Vec<Check>,
    /// Steps that one value costs, with all nodes below.
    pub(crate) size: u64,
    /// Levels, with all nodes below.
    pub(crate) depth: usize,
}

/// What a value must fulfil.
#[derive(Debug)]
pub(crate) enum Check {
    /// Nothing fits: the schema `false`.
    Never,
    Type(Vec<Type>),
    Enum(Vec<Value>),
    Const(Value),
    Number(OfNumber, Number),
    Text(OfText),
    List(OfList),
    Object(OfObject),
    Choice(Choice),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Null,
    Boolean,
    Integer,
    Number,
    String,
    Array,
    Object,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OfNumber {
    Minimum,
    ExclusiveMinimum,
    Maximum,
    ExclusiveMaximum,
    MultipleOf,
}

#[derive(Debug)]
pub(crate) enum OfText {
    MinLength(u64),
    MaxLength(u64),
    Pattern(Box<Pattern>),
}

#[derive(Debug)]
pub(crate) enum OfList {
    MinItems(u64),
    MaxItems(u64),
    Unique,
    Items { prefix: Vec<NodeId>, rest: Option<NodeId> },
    Contains { what: NodeId, min: u64, max: Option<u64> },
}

#[derive(Debug)]
pub(crate) enum OfObject {
    MinProperties(u64),
    MaxProperties(u64),
    Required(Vec<String>),
    DependentRequired(Vec<(String, Vec<String>)>),
    Names(NodeId),
    Properties {
        named: BTreeMap<String, NodeId>,
        patterns: Vec<(Pattern, NodeId)>,
        rest: Option<NodeId>,
    },
    /// Of the node itself: what none of its other checks has looked at.
    Unevaluated {
        of: NodeId,
        rest: NodeId,
    },
}

#[derive(Debug)]
pub(crate) enum Choice {
    Reference(NodeId),
    AllOf(Vec<NodeId>),
    AnyOf(Vec<NodeId>),
    OneOf(Vec<NodeId>),
    Not(NodeId),
    If { condition: NodeId, then: Option<NodeId>, otherwise: Option<NodeId> },
    Dependent(Vec<(String, NodeId)>),
}

impl Check {
    /// The nodes that it leads to.
    pub(crate) fn nodes(&self) -> Vec<NodeId> {
        match self {
            Self::Never | Self::Type(_) | Self::Enum(_) | Self::Const(_) | Self::Number(..) | Self::Text(_) => {
                Vec::new()
            }
            Self::List(OfList::Items { prefix, rest }) => prefix.iter().chain(rest).copied().collect(),
            Self::List(OfList::Contains { what, .. }) => vec![*what],
            Self::List(OfList::MinItems(_) | OfList::MaxItems(_) | OfList::Unique) => Vec::new(),
            Self::Object(OfObject::Names(what)) => vec![*what],
            Self::Object(OfObject::Properties { named, patterns, rest }) => {
                named.values().chain(patterns.iter().map(|(_, node)| node)).chain(rest).copied().collect()
            }
            Self::Object(OfObject::Unevaluated { rest, .. }) => vec![*rest],
            Self::Object(
                OfObject::MinProperties(_)
                | OfObject::MaxProperties(_)
                | OfObject::Required(_)
                | OfObject::DependentRequired(_),
            ) => Vec::new(),
            Self::Choice(Choice::Reference(node) | Choice::Not(node)) => vec![*node],
            Self::Choice(Choice::AllOf(nodes) | Choice::AnyOf(nodes) | Choice::OneOf(nodes)) => nodes.clone(),
            Self::Choice(Choice::If { condition, then, otherwise }) => {
                [*condition].iter().chain(then).chain(otherwise).copied().collect()
            }
            Self::Choice(Choice::Dependent(named)) => named.iter().map(|(_, node)| *node).collect(),
        }
    }

    /// Values and names that it compares with, one step each at least.
    pub(crate) fn own_size(&self) -> u64 {
        let own = match self {
            Self::Enum(values) => values.len(),
            Self::Object(OfObject::Required(names)) => names.len(),
            Self::Object(OfObject::DependentRequired(names)) => names.iter().map(|(_, names)| 1 + names.len()).sum(),
            Self::Never
            | Self::Type(_)
            | Self::Const(_)
            | Self::Number(..)
            | Self::Text(_)
            | Self::List(_)
            | Self::Object(_)
            | Self::Choice(_) => 0,
        };
        1 + own as u64
    }

    pub(crate) fn pattern_bytes(&self) -> usize {
        match self {
            Self::Text(OfText::Pattern(pattern)) => pattern.memory(),
            Self::Object(OfObject::Properties { patterns, .. }) => {
                patterns.iter().map(|(pattern, _)| pattern.memory()).sum()
            }
            Self::Never
            | Self::Type(_)
            | Self::Enum(_)
            | Self::Const(_)
            | Self::Number(..)
            | Self::Text(_)
            | Self::List(_)
            | Self::Object(_)
            | Self::Choice(_) => 0,
        }
    }
}

impl Type {
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let all = [Self::Null, Self::Boolean, Self::Integer, Self::Number, Self::String, Self::Array, Self::Object];
        all.into_iter().find(|kind| kind.as_str() == name)
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::String => "string",
            Self::Array => "array",
            Self::Object => "object",
        }
    }
}
