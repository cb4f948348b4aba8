//! Whether values are equal: numbers are what they say, and members of an object have no order.

use serde_json::Value;

use super::{BYTES_A_STEP, Judge, Stop};
use crate::number::{self, Exact};

impl Judge<'_, '_, '_> {
    /// Whether two values are one; numbers as what they say.
    pub(super) fn equal(&mut self, left: &Value, right: &Value) -> Result<bool, Stop> {
        self.budget.spend(1)?;
        Ok(match (left, right) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(left), Value::Bool(right)) => left == right,
            (Value::Number(left), Value::Number(right)) => number::compare(left, right).is_eq(),
            (Value::String(left), Value::String(right)) => {
                self.budget.spend(left.len().min(right.len()) as u64 / BYTES_A_STEP)?;
                left == right
            }
            (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
                for (left, right) in left.iter().zip(right) {
                    if !self.equal(left, right)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Value::Object(left), Value::Object(right)) if left.len() == right.len() => {
                for (name, left) in left {
                    self.budget.spend(name.len() as u64 / BYTES_A_STEP)?;
                    let Some(right) = right.get(name) else { return Ok(false) };
                    if !self.equal(left, right)? {
                        return Ok(false);
                    }
                }
                true
            }
            _other_types => false,
        })
    }

    /// Sorted by bytes that two values share if and only if they are equal.
    pub(super) fn are_unique(&mut self, values: &[Value]) -> Result<bool, Stop> {
        let mut all = Vec::with_capacity(values.len());
        let mut bytes = 0;
        for value in values {
            let mut canonical = Vec::new();
            self.canonical(value, &mut canonical)?;
            bytes += canonical.len() as u64;
            all.push(canonical);
        }
        let halvings = u64::from(usize::BITS - values.len().leading_zeros());
        self.budget.spend((values.len() as u64 + bytes / BYTES_A_STEP).saturating_mul(halvings))?;
        all.sort_unstable();
        Ok(all.windows(2).all(|pair| pair.first() != pair.last()))
    }

    fn canonical(&mut self, value: &Value, out: &mut Vec<u8>) -> Result<(), Stop> {
        self.budget.spend(1)?;
        match value {
            Value::Null => out.push(b'n'),
            Value::Bool(value) => out.extend([b'b', u8::from(*value)]),
            Value::Number(number) => match number::exact(number) {
                Exact::Integer(integer) => out.extend([&b"i"[..], &integer.to_be_bytes()].concat()),
                Exact::Float(float) => out.extend([&b"f"[..], &float.to_be_bytes()].concat()),
            },
            Value::String(text) => self.canonical_text(text, out)?,
            Value::Array(values) => {
                out.push(b'a');
                out.extend(values.len().to_be_bytes());
                for value in values {
                    self.canonical(value, out)?;
                }
            }
            Value::Object(members) => {
                out.push(b'o');
                out.extend(members.len().to_be_bytes());
                self.budget.spend(members.len() as u64 * u64::from(usize::BITS - members.len().leading_zeros()))?;
                let mut names: Vec<_> = members.keys().collect();
                names.sort_unstable();
                for name in names {
                    self.canonical_text(name, out)?;
                    if let Some(value) = members.get(name) {
                        self.canonical(value, out)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn canonical_text(&mut self, text: &str, out: &mut Vec<u8>) -> Result<(), Stop> {
        self.budget.spend(text.len() as u64 / BYTES_A_STEP)?;
        out.push(b's');
        out.extend(text.len().to_be_bytes());
        out.extend(text.as_bytes());
        Ok(())
    }
}
