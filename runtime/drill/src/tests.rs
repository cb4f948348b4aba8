//! The table itself, and that each attack gets its way where nothing seals the process: so that "refused" means the seal.
#![allow(clippy::disallowed_methods, reason = "tests that run themselves as children, which then attack")]

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::fd::AsRawFd as _;
use std::process::{Command, Stdio};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};
use tollgate::kernel_plan::signatures;
use tollgate::worker::SealedProcess;
use tollgate_audit::WriterId;
use tollgate_capability::CapabilitySet;
use tollgate_notary::Lease;

use super::ground::Held;
use super::*;

const ATTACK: &str = "TOLLGATE_TEST_ATTACK";
const AIM: &str = "TOLLGATE_TEST_AIM";
const FDS: &str = "TOLLGATE_TEST_FDS";

#[test]
fn the_table_is_whole() {
    let mut names = HashSet::new();
    let mut groups = HashMap::new();
    for (group, attack) in attacks() {
        assert!(names.insert(attack.name), "{} twice", attack.name);
        assert!(
            attack.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'),
            "{}",
            attack.name
        );
        assert!(!attack.what.is_empty() && attack.what.len() < 80, "{}", attack.name);
        *groups.entry(group).or_insert(0) += 1;
    }
    assert!(names.len() >= 60, "{}", names.len());
    for group in Group::ALL {
        assert!(groups.get(&group).is_some_and(|count| *count >= 10), "{group:?}: {groups:?}");
    }
}

/// Rows that have no meaning in a gateway are the exception: those of other groups than evidence are few, and say why.
#[test]
fn most_attacks_are_made_in_a_gateway_too() {
    let (made, left_out): (Vec<_>, Vec<_>) = attacks()
        .filter(|(group, _)| *group != Group::Flags)
        .partition(|(_, attack)| attack.stopped_in_gateway().is_some());
    assert!(made.len() >= 250, "{}", made.len());
    let other: Vec<_> = left_out.iter().filter(|(group, _)| *group != Group::Evidence).collect();
    assert!(other.len() <= 5, "{other:?}");
    let is_known = |(_, attack): &&(Group, &Attack)| {
        matches!(attack.in_gateway, InGateway::Not(why) if !why.is_empty())
            || matches!(attack.where_nothing, Stop::Notary(_))
    };
    assert!(left_out.iter().all(|row| is_known(&row)), "{left_out:?}");
}

#[test]
fn what_the_filter_must_stop_is_on_no_list_of_a_host_with_nothing_granted() {
    let plan = tollgate::kernel_plan::plan(&CapabilitySet::default());
    // These are on it, but not with the arguments of the attack.
    let by_argument = [
        libc::SYS_mmap,
        libc::SYS_mprotect,
        libc::SYS_ioctl,
        libc::SYS_sendto,
        libc::SYS_tgkill,
        libc::SYS_rt_sigaction,
    ];
    for (_, attack) in attacks().filter(|(group, _)| *group != Group::Flags) {
        if let Stop::Filter(number) = attack.where_nothing {
            assert!(by_argument.contains(&number) || !plan.allows(number), "{}", attack.name);
        }
    }
}

/// A row is not complete without what its arguments are, and compares each that is flags or a command in all 64 bits.
#[test]
fn every_argument_of_every_row_is_known_and_its_flags_are_attacked() {
    for row in tollgate::kernel_plan::ROWS.iter().map(|row| row.call) {
        let takes = signatures::takes(row.number).unwrap_or_else(|| panic!("what does {} take?", row.name));
        for check in row.checks {
            let (argument, mask, _value) = check.compared();
            let is_flags = matches!(takes.get(usize::from(argument)), Some(signatures::Takes::Flags(_)));
            assert!(is_flags, "{}: argument {argument} is compared, so what is there besides?", row.name);
            assert_eq!(mask >> 32, u64::from(u32::MAX), "{}: argument {argument}, upper half", row.name);
        }
        for (place, takes) in takes.iter().enumerate() {
            let signatures::Takes::Flags(names) = takes else { continue };
            let compares = row.checks.iter().any(|check| usize::from(check.compared().0) == place);
            assert!(compares, "{}: argument {place} is not compared", row.name);
            let prefix = format!("flag-{}-{}-", row.name.replace('_', "-"), place + 1);
            let attacked: Vec<_> = attacks().map(|(_, a)| a.name).filter(|name| name.starts_with(&prefix)).collect();
            assert!(attacked.len() > usize::from(!names.is_empty()), "{prefix}: {attacked:?}");
        }
    }
    assert!(attack("flag-renameat2-5-whiteout").is_some() && attack("flag-renameat2-5-exchange").is_some());
}

#[test]
fn every_attack_works_where_nothing_stops_it() {
    let mut failed = Vec::new();
    for (_, attack) in attacks() {
        let said = alone(attack);
        let is_as_told = match attack.alone {
            Alone::Works => matches!(said, Some(Outcome::Escaped(_))),
            Alone::Depends(_) => !matches!(said, Some(Outcome::Unable(_))),
            Alone::Never(_) => true,
        };
        if !is_as_told {
            failed.push(format!("{}: {:?}, but {said:?}", attack.name, attack.alone));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Makes the attack in a child that nothing seals, against a process of its own.
fn alone(attack: &Attack) -> Option<Outcome> {
    if matches!(attack.alone, Alone::Never(_)) {
        return None;
    }
    let mut notary = Command::new("sleep").arg("60").spawn().unwrap();
    let mut scene = Scene::new().unwrap();
    scene.set_notary(notary.id());
    let aim = scene.aim(true).unwrap();
    for folder in [&aim.ledger, aim.side_store.parent().unwrap()] {
        fs::create_dir(folder).unwrap();
    }
    for file in [&aim.ledger.join("journal"), &aim.ledger_key, &aim.side_store] {
        fs::write(file, "there").unwrap();
    }
    let pair = || socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::NONBLOCK, None).unwrap();
    // Inherited: neither is closed on exec.
    let (_out, pipe) = pipe_with(PipeFlags::NONBLOCK).unwrap();
    let (control, acks, connection) = (pair(), pair(), pair());
    let fds = [control.0.as_raw_fd(), pipe.as_raw_fd(), acks.0.as_raw_fd(), connection.0.as_raw_fd()];
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::child_makes_an_attack", "--ignored", "--nocapture"])
        .env(ATTACK, attack.name)
        .env(AIM, serde_json::to_string(&aim).unwrap())
        .env(FDS, serde_json::to_string(&fds).unwrap())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    notary.kill().unwrap();
    notary.wait().unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    said.lines().find_map(|line| serde_json::from_str(line.split_once("outcome ")?.1).ok())
}

#[test]
#[ignore = "run as a child"]
#[allow(clippy::exit, reason = "after an attack the test harness is in no state to end by itself")]
fn child_makes_an_attack() {
    let text = |name: &str| std::env::var(name).unwrap();
    let held =
        SealedProcess::new((WriterId([7; 6]), Lease::own(WriterId([7; 6]))), serde_json::from_str(&text(FDS)).unwrap());
    let ground = Ground { aim: serde_json::from_str(&text(AIM)).unwrap(), held: Held::from(&held) };
    let outcome = attack(&text(ATTACK)).unwrap().run(&ground);
    println!("\noutcome {}", serde_json::to_string(&outcome).unwrap());
    std::process::exit(0);
}
