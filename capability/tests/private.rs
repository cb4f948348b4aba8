//! A set that is handed to the process that runs the tool arrives as it was, and is the same set to an auditor.
#![allow(clippy::unwrap_used, reason = "a drawn set that has no text is a test that fails")]

mod generators;

use proptest::prelude::*;
use tollgate_capability::{CapabilitySet, PrivateSet, RecordedSet};

fn with_values() -> impl Strategy<Value = CapabilitySet> {
    let env = proptest::collection::btree_map("[A-Z_]{1,4}", any::<String>(), 0..4);
    let args = proptest::collection::vec(any::<String>(), 0..4);
    (generators::set(), env, args, any::<u64>(), any::<u32>()).prop_map(|(mut set, env, args, size, count)| {
        (set.env, set.args) = (env, args);
        (set.limits.fuel, set.limits.calls) = (size, count);
        set.fs.iter_mut().for_each(|fs| fs.write_quota = size);
        set
    })
}

proptest! {
    #[test]
    fn the_private_form_loses_nothing(set in with_values()) {
        let json = PrivateSet::new(set.clone()).to_private_json().unwrap();
        let read = PrivateSet::from_private_json(&json).unwrap();
        prop_assert_eq!(read.to_private_json().unwrap(), json.as_str());
        let arrived = read.into_set();
        prop_assert_eq!(arrived.to_canonical_json().unwrap(), set.to_canonical_json().unwrap());
        prop_assert_eq!(arrived, set);
        prop_assert!(RecordedSet::parse(&json).is_err(), "it is no text to be kept");
    }

    #[test]
    fn a_canonical_text_is_not_a_private_one(set in with_values()) {
        prop_assert!(PrivateSet::from_private_json(&set.to_canonical_json().unwrap()).is_err());
    }

    #[test]
    fn no_text_makes_it_panic(text in ".{0,200}") {
        prop_assert!(PrivateSet::from_private_json(&text).is_err());
    }
}
