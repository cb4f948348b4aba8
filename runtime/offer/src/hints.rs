//! Annotations, as MCP has them: hints elsewhere, facts here. Gate and kernel hold what the set says.

use serde_json::{Value, json};
use tollgate_capability::{Access, CapabilitySet};

/// What a tool can do to the world, whatever it is called for.
#[allow(clippy::struct_excessive_bools, reason = "MCP has these four")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hints {
    /// It changes nothing: no folder of it may be written to, and no network is reached.
    pub read_only: bool,
    /// It may change or remove what is there.
    pub destructive: bool,
    /// To call it again changes nothing more.
    pub idempotent: bool,
    /// It reaches what nobody on this machine granted it by name: a network.
    pub open_world: bool,
}

impl Hints {
    /// What a set allows.
    #[must_use]
    pub fn of(set: &CapabilitySet) -> Self {
        let has = |right: Access| set.fs.iter().any(|folder| folder.access.contains(right));
        let destructive = has(Access::Write) || has(Access::Delete);
        // No word of a policy grants a network yet.
        let open_world = false;
        let read_only = !destructive && !has(Access::Create) && !open_world;
        Self { read_only, destructive, idempotent: read_only, open_world }
    }

    /// As MCP has them.
    #[must_use]
    pub fn annotations(&self) -> Value {
        json!({
            "readOnlyHint": self.read_only,
            "destructiveHint": self.destructive,
            "idempotentHint": self.idempotent,
            "openWorldHint": self.open_world,
        })
    }
}

#[cfg(test)]
mod tests {
    use tollgate_capability::{FsCapability, Patterns};

    use super::*;

    fn with(rights: &[Access]) -> Hints {
        let folder = FsCapability {
            guest: "/d".to_owned(),
            host: "/srv/d".into(),
            opened: None,
            access: rights.iter().copied().collect(),
            durable: std::iter::empty().collect(),
            patterns: Patterns::default(),
            write_quota: 0,
            mounts: false,
        };
        let nothing = FsCapability { access: std::iter::empty().collect(), ..folder.clone() };
        Hints::of(&CapabilitySet { fs: vec![nothing, folder], ..CapabilitySet::default() })
    }

    const READ_ONLY: Hints = Hints { read_only: true, destructive: false, idempotent: true, open_world: false };

    #[test]
    fn each_right_has_its_hints() {
        let changes = Hints { read_only: false, idempotent: false, ..READ_ONLY };
        for right in Access::ALL {
            let expected = match right {
                Access::Read | Access::List | Access::Metadata => READ_ONLY,
                Access::Create => changes,
                Access::Write | Access::Delete => Hints { destructive: true, ..changes },
            };
            assert_eq!(with(&[right]), expected, "{right}");
            assert_eq!(with(&[Access::Read, right]), expected, "{right}");
        }
        assert_eq!(with(&[]), READ_ONLY);
        assert_eq!(Hints::of(&CapabilitySet::default()), READ_ONLY);
    }
}
