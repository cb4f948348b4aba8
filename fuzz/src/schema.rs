//! A tool's schema, and arguments under it: both are untrusted.

use serde_json::Value;
use tollgate_schema::limits::{PATTERNS_MEMORY_MAX, PROBLEMS_MAX, SCHEMA_SIZE_MAX, SCHEMA_VALUES_MAX};
use tollgate_schema::{Budget, Schema, Stop, count_values, read_values};

use crate::text;

/// A schema on the first line, a value on those behind it. What is taken is within its limits, costs no more steps than it
/// may, and judges as another implementation does. Problems are few and short. What is refused is refused alike when the
/// schema is asked again.
pub fn schema(bytes: &[u8]) {
    let Some((schema, value)) = text(bytes).map(|text| text.split_once('\n').unwrap_or((text, "null"))) else { return };
    let Ok((read, ours)) = Schema::parse(schema) else {
        assert!(Schema::parse(schema).is_err());
        return;
    };
    assert!(ours.size() <= SCHEMA_SIZE_MAX && ours.pattern_bytes() <= PATTERNS_MEMORY_MAX);
    assert!(ours.schemas() <= SCHEMA_VALUES_MAX && values(&read) <= count_values(schema.as_bytes()));
    let Ok(value) = read_values(value, VALUES_MAX) else { return };
    let mut budget = Budget::steps(STEPS);
    match ours.judge(&value, &mut budget) {
        Err(stop) => assert_eq!(stop, Stop::Work, "without a deadline"),
        Ok(problems) => {
            assert!(problems.len() <= PROBLEMS_MAX && problems.iter().all(|problem| problem.len() < PROBLEM_BYTES_MAX));
            if is_compared(schema) {
                let options = jsonschema::options().with_draft(jsonschema::Draft::Draft202012);
                let theirs = options.build(&read).expect("what is taken here is taken there");
                assert_eq!(problems.is_empty(), theirs.is_valid(&value), "{problems:?}");
            }
            let spent = STEPS - budget.left();
            assert_eq!(ours.judge(&value, &mut Budget::steps(spent)), Ok(problems), "as many steps as were spent");
        }
    }
}

/// Patterns, and quotients of floats, are judged by other means there.
fn is_compared(schema: &str) -> bool {
    !["attern", "multipleOf", "\\u"].iter().any(|word| schema.contains(word))
}

fn values(value: &Value) -> usize {
    1 + match value {
        Value::Array(values) => values.iter().map(self::values).sum::<usize>(),
        Value::Object(values) => values.values().map(self::values).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

const VALUES_MAX: usize = 1_000;

const STEPS: u64 = 1 << 20;

const PROBLEM_BYTES_MAX: usize = 2_000;
