// SPDX-License-Identifier: GPL-2.0

//! Answers to messages that are lines of a name and its value: `stats`, `scan`, `debug`, `cache`.

use anyhow::{
    Context,
    Result, //
};

/// Such an answer.
#[derive(Clone, Debug)]
pub struct Answer(String);

impl Answer {
    /// What a target answered.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The value of a name, if the answer has that.
    pub fn find(&self, name: &str) -> Option<&str> {
        self.0
            .lines()
            .filter_map(|line| line.split_once(' '))
            .find_map(|(found, value)| (found == name).then_some(value))
    }

    /// The value of a name, which the answer must have.
    pub fn value(&self, name: &str) -> Result<&str> {
        self.find(name)
            .with_context(|| format!("no '{name}' in the answer:\n{}", self.0))
    }

    /// The number that a name has.
    pub fn number(&self, name: &str) -> Result<u64> {
        let value = self.value(name)?;
        value
            .parse()
            .with_context(|| format!("'{name} {value}' is no number"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_whole_name() {
        let answer = Answer::new("reads 3\nread_errors 1\nfound 2 weak 0\n".into());
        assert_eq!(answer.number("reads").unwrap(), 3);
        assert_eq!(answer.value("found").unwrap(), "2 weak 0");
        assert_eq!(answer.find("read"), None);
        assert!(answer.number("found").is_err());
        assert!(answer.value("none").is_err());
    }
}
