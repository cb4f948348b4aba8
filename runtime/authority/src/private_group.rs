//! Tells whether a group is one user's alone, such as the one that `useradd` makes for each user. A group of which that cannot be
//! told is none: a directory service's groups are in no file here.

use std::fs;

/// Whether nobody but the user `owner` is in the group `group`.
pub(super) fn is_private_group(group: u32, owner: u32) -> bool {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    is_private(group, owner, &read("/etc/passwd"), &read("/etc/group"))
}

/// By the texts of `passwd(5)` and `group(5)`.
fn is_private(group: u32, owner: u32, passwd: &str, groups: &str) -> bool {
    let own_name = users(passwd).find(|user| user.id == owner).map(|user| user.name);
    let named: Vec<Group<'_>> = self::groups(groups).filter(|found| found.id == group).collect();
    let members = named.iter().flat_map(|found| found.members.split(',')).filter(|name| !name.is_empty());
    let has_others = users(passwd).any(|user| user.group == group && user.id != owner)
        || members.map(Some).any(|member| member != own_name);
    // A user's own group has the user's number or the user's name, as programs that make users have it. If user or group is in no
    // file, other members cannot be told.
    own_name.is_some() && !has_others && named.iter().any(|found| group == owner || Some(found.name) == own_name)
}

struct User<'a> {
    name: &'a str,
    id: u32,
    /// The first group.
    group: u32,
}

/// `NAME:PASSWORD:UID:GID:…`.
fn users(text: &str) -> impl Iterator<Item = User<'_>> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, _password) = (fields.next()?, fields.next()?);
        Some(User { name, id: fields.next()?.parse().ok()?, group: fields.next()?.parse().ok()? })
    })
}

struct Group<'a> {
    name: &'a str,
    id: u32,
    /// Names with commas between them.
    members: &'a str,
}

/// `NAME:PASSWORD:GID:MEMBER,…`.
fn groups(text: &str) -> impl Iterator<Item = Group<'_>> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, _password) = (fields.next()?, fields.next()?);
        Some(Group { name, id: fields.next()?.parse().ok()?, members: fields.next().unwrap_or_default() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nada:x:1000:2000::/home/ada:/bin/sh\nbob:x:1001:1001::/:/bin/sh\n\
        cid:x:1002:100::/:/bin/sh\ndan:x:1003:100::/:/bin/sh\nnonsense\n";
    const GROUPS: &str =
        "root:x:0:\nada:x:2000:\nbob:x:1001:bob\nusers:x:100:\nteam:x:3000:ada\nshared:x:1004:ada\neve:x:3001:";

    #[test]
    fn a_group_is_private_by_its_number_or_its_name_and_has_no_other_member() {
        for (group, owner, private) in [
            (2000, 1000, true),
            (1001, 1001, true),
            (0, 0, true),
            // Neither the user's number nor the user's name, though nobody else is in it.
            (3000, 1000, false),
            (3001, 1000, false),
            // The first group of two users.
            (100, 1002, false),
            (100, 100, false),
            // The group of a number with a member who is another user.
            (1004, 1004, false),
            // What no file knows, such as the users of a directory service.
            (5000, 5000, false),
            // A user that no file knows, in a group that one knows; and the other way round.
            (3001, 3001, false),
            (1003, 1003, false),
            (5000, 5001, false),
        ] {
            assert_eq!(is_private(group, owner, PASSWD, GROUPS), private, "{group} of {owner}");
        }
    }
}
