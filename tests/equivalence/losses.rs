//! What the gate can tell apart and the kernel layer cannot. The list is data; it is the table of SECURITY.md ("What the
//! kernel layer cannot tell apart"); and it is exact: made blind in all these ways, the gate decides as the kernel does.

use tollgate_capability::{Access, AccessSet, CapabilitySet, Decision, FsCapability, Patterns, check};

use tollgate_workspace::probe::{Op, Probe, Spot, To};

/// A difference that the gate makes and the kernel does not.
pub(crate) struct Loss {
    pub(crate) name: &'static str,
    /// As in SECURITY.md.
    pub(crate) reason: &'static str,
    /// Has the gate decide without that difference.
    blind: fn(&mut Gate),
}

/// All of them below folders, in the order in which they are applied.
pub(crate) const LOSSES: [Loss; 10] = [
    Loss {
        name: "names outside",
        reason: "Landlock does not judge looking at a name (`O_PATH`, stat): with any folder granted, a worker can tell that a \
                 path exists, its size and its times",
        blind: names_outside,
    },
    Loss {
        name: "where a link leads",
        reason: "Landlock judges the place that is reached, not the way there: a link into another granted folder is \
                 followed",
        blind: links_lead,
    },
    Loss {
        name: "folders unite",
        reason: "at a place the rights of all granted folders hold that it is in, whichever was named",
        blind: folders_unite,
    },
    Loss {
        name: "patterns",
        reason: "a rule of Landlock is for all that is below a folder",
        blind: |gate| gate.set.fs.iter_mut().for_each(|fs| fs.patterns = Patterns::default()),
    },
    Loss {
        name: "quotas",
        reason: "no limit of the kernel counts bytes by folder and call",
        blind: |gate| gate.set.fs.iter_mut().for_each(|fs| fs.write_quota = u64::MAX),
    },
    Loss {
        name: "special files",
        reason: "`READ_FILE` and `WRITE_FILE` are for FIFOs and devices too; they cannot be made, linked or renamed, and \
                 `ioctl` is blocked",
        blind: |gate| gate.turn(Op::OpenPipe, Op::Read),
    },
    Loss {
        name: "text of links",
        reason: "neither `MAKE_SYM` nor a move looks at where links lead; following them is judged",
        blind: |gate| gate.turn(Op::SymlinkOut, Op::Symlink),
    },
    Loss {
        name: "metadata",
        reason: "Landlock has no right for stat, and `readlinkat` is there for every name if one folder grants `metadata`, or \
                 lets the tool change something",
        blind: no_metadata,
    },
    Loss {
        name: "policies in folders",
        reason: "a folder is moved without a look at what is in it; the gate takes `list` to look for policies",
        blind: |gate| gate.all_look = true,
    },
    Loss {
        name: "link without read or write",
        reason: "Landlock does not ask whether what is linked may be read or written; it sees to it that this tool gains nothing",
        blind: link_without_rights,
    },
];

/// Differences that no drawn probe shows, since they take a mount: `tests/mounts` shows them.
pub(crate) const OF_MOUNTS: [(&str, &str); 1] =
    [("mounts", "a rule of Landlock is for all that is below a folder, whatever is mounted there")];

/// A gate that is made blind step by step.
pub(crate) struct Gate {
    set: CapabilitySet,
    probe: Probe,
    all_look: bool,
}

impl Gate {
    pub(crate) fn new(set: &CapabilitySet, probe: &Probe) -> Self {
        Self { set: set.clone(), probe: probe.clone(), all_look: false }
    }

    /// What the gate says, blind to `losses`.
    pub(crate) fn allows<'l>(mut self, losses: impl IntoIterator<Item = &'l Loss>) -> bool {
        losses.into_iter().for_each(|loss| (loss.blind)(&mut self));
        let calls = self.probe.calls(&self.set, self.all_look);
        calls.iter().all(|call| matches!(check(&self.set, call), Decision::Allow(_)))
    }

    fn turn(&mut self, from: Op, to: Op) {
        if self.probe.op == from {
            self.probe.op = to;
        }
    }

    fn somewhere(&self, access: Access) -> bool {
        self.set.fs.iter().any(|fs| fs.access.contains(access))
    }

    fn source(&mut self) -> Option<&mut FsCapability> {
        self.set.fs.get_mut(usize::from(self.probe.from.grant))
    }

    /// A granted folder that is this place alone, with all rights that hold there.
    fn place(&mut self, spot: &Spot) -> Option<Spot> {
        let fs = self.set.fs.get(usize::from(spot.grant))?;
        let host = fs.host.join(spot.way);
        let around = self.set.fs.iter().filter(|fs| host.starts_with(&fs.host));
        let access = around.fold(AccessSet::EMPTY, |all, fs| all.union(fs.access));
        let place = FsCapability { host, access, ..fs.clone() };
        self.set.fs.push(place);
        Some(Spot { grant: u16::try_from(self.set.fs.len() - 1).ok()?, way: "" })
    }
}

fn names_outside(gate: &mut Gate) {
    gate.turn(Op::StatOutside, Op::Stat);
}

fn links_lead(gate: &mut Gate) {
    if gate.probe.op == Op::FollowAway {
        gate.probe.op = Op::Read;
        gate.probe.from = gate.probe.other.clone();
    }
}

fn folders_unite(gate: &mut Gate) {
    let Probe { from, other, .. } = gate.probe.clone();
    if let (Some(from), Some(other)) = (gate.place(&from), gate.place(&other)) {
        (gate.probe.from, gate.probe.other) = (from, other);
    }
}

fn no_metadata(gate: &mut Gate) {
    let reads_links = [Access::Metadata, Access::Write, Access::Create, Access::Delete];
    if gate.probe.op != Op::ReadLink || reads_links.into_iter().any(|access| gate.somewhere(access)) {
        gate.set.fs.iter_mut().for_each(|fs| fs.access = fs.access.with(Access::Metadata));
    }
}

/// To rename asks for the same rights at the new name, and guards against the same gains.
fn link_without_rights(gate: &mut Gate) {
    let renamed = match gate.probe.op {
        Op::LinkFile => Op::RenameFile,
        Op::LinkLink => Op::RenameLink,
        _other => return,
    };
    let (beside, has_system_call) = (gate.probe.to == To::Beside, gate.somewhere(Access::Read));
    let Some(fs) = gate.source() else { return };
    // Names go from one parent folder to another by Landlock's REFER, which these rights bring.
    let moves = [Access::Read, Access::Create, Access::Delete].into_iter().any(|access| fs.access.contains(access));
    if has_system_call && (beside || moves) {
        fs.access = fs.access.with(Access::Delete);
        gate.probe.op = renamed;
    }
}
