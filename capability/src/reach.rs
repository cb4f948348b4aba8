//! Where symbolic links lead, by their text alone: what must hold of a link wherever it comes to stand.

/// How far links lead up from the folder that holds the name which is made or moved.
///
/// A link that a tool makes or moves leads down, or first up by some folders and then down: `..` stands in its text before
/// the first name alone. Then its text says where it leads, whatever other links there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// By at most so many folders.
    Up(u32),
    /// The text is absolute, or has `..` after a name, or could not be looked at: nothing bounds it.
    Anywhere,
}

impl Reach {
    /// That of one link with this text.
    #[must_use]
    pub fn of_text(text: &[u8]) -> Self {
        if text.starts_with(b"/") {
            return Self::Anywhere;
        }
        let mut up = 0_u32;
        let mut names = false;
        for name in text.split(|byte| *byte == b'/') {
            match name {
                b"" | b"." => {}
                b".." if names => return Self::Anywhere,
                b".." => up = up.saturating_add(1),
                _name => names = true,
            }
        }
        Self::Up(up)
    }

    /// The same links, seen from `folders` folders further up.
    #[must_use]
    pub const fn seen_from_above(self, folders: u32) -> Self {
        match self {
            Self::Up(up) => Self::Up(up.saturating_sub(folders)),
            Self::Anywhere => Self::Anywhere,
        }
    }

    /// That of these links and of others.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Up(one), Self::Up(two)) => Self::Up(one.max(two)),
            (Self::Anywhere, _) | (_, Self::Anywhere) => Self::Anywhere,
        }
    }

    /// Whether the links stay below a granted folder if the folder that holds the name is `depth` folders below it.
    pub(crate) const fn stays_at(self, depth: u32) -> bool {
        match self {
            Self::Up(up) => up <= depth,
            Self::Anywhere => false,
        }
    }

    /// Whether the links lead to nothing but what is below their own folders, wherever these are.
    pub(crate) const fn only_down(self) -> bool {
        self.stays_at(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_dots_are_counted() {
        for (text, up) in [("a", 0), ("./a/./b", 0), ("", 0), ("..", 1), ("../a", 1), (".././../a/b", 2), ("..//..", 2)]
        {
            assert_eq!(Reach::of_text(text.as_bytes()), Reach::Up(up), "{text}");
        }
    }

    #[test]
    fn dots_after_a_name_and_absolute_texts_lead_anywhere() {
        for text in ["/", "/a", "a/..", "p/p/../../x", "../a/../b", "a/./../b"] {
            assert_eq!(Reach::of_text(text.as_bytes()), Reach::Anywhere, "{text}");
        }
    }

    #[test]
    fn a_place_is_deep_enough_or_not() {
        assert!(Reach::Up(2).stays_at(2) && !Reach::Up(3).stays_at(2) && !Reach::Anywhere.stays_at(99));
        assert_eq!(Reach::Up(3).seen_from_above(2), Reach::Up(1));
        assert!(Reach::Up(1).seen_from_above(2).only_down() && !Reach::Up(1).only_down());
        assert_eq!(Reach::Up(1).or(Reach::Up(2)), Reach::Up(2));
        assert_eq!(Reach::Up(1).or(Reach::Anywhere), Reach::Anywhere);
    }
}
