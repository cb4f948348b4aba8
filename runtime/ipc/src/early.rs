//! Words that come by another way than what they are about, and may come before it, such as the withdrawal of a call.

use std::collections::VecDeque;

/// The latest names of what has not come yet and of which something was said already. Those of what never comes stay until others
/// push them out.
#[derive(Debug)]
pub struct Early<T> {
    names: VecDeque<T>,
    most: usize,
}

impl<T: PartialEq> Early<T> {
    /// Holds at most `most` names; the oldest goes first.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { names: VecDeque::new(), most }
    }

    /// Something was said of what has this name.
    pub fn note(&mut self, name: T) {
        if self.names.len() >= self.most {
            self.names.pop_front();
        }
        self.names.push_back(name);
    }

    /// What has this name has come. Whether something was said of it, which is used up now.
    pub fn take(&mut self, name: &T) -> bool {
        let place = self.names.iter().position(|early| early == name);
        place.and_then(|place| self.names.remove(place)).is_some()
    }

    /// How many names it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}
