//! JSON by another reader than ours. Values stay text: a number that no float holds is one all the same.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

pub(crate) fn members(object: &[u8]) -> BTreeMap<String, Box<RawValue>> {
    serde_json::from_slice(object).expect("an object for another reader")
}

pub(crate) fn text_of(value: &RawValue) -> String {
    serde_json::from_str(value.get()).expect("a string")
}
