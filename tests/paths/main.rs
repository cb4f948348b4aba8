//! The path rules hold on a real filesystem behind the gate: what is denied is denied with its rule, its reason and
//! its code, is on the record, and changes nothing on the host.

mod handles;
mod links;
mod linux;
mod listings;
mod open_flags;
mod patterns;
mod places;
mod plain;
mod policy_name;
mod preopens;
mod quota;
mod races;
mod random_steps;
mod renames;
mod requests;
mod special;
mod texts;
mod times;
