// SPDX-License-Identifier: GPL-2.0

//! How long a scan waits for main when nothing of it can be read.
//!
//! A path that is gone may be back soon, or in days; and each try may have a controller reset.

/// For how many milliseconds it waits first.
const FIRST: u32 = 1000;
/// For how many it does at most: about four minutes.
const MOST: u32 = FIRST << 8;

/// Whether main is away, and for how long.
#[derive(Clone, Copy, Debug, Default)]
pub struct Away {
    /// For how many milliseconds it waits; none while main is there.
    pause: Option<u32>,
}

impl Away {
    /// Main could not be read anywhere.
    pub fn failed(&mut self) {
        let longer = |pause: u32| pause.saturating_mul(2).min(MOST);
        self.pause = Some(self.pause.map_or(FIRST, longer));
    }

    /// Something of main was read.
    pub fn is_back(&mut self) {
        self.pause = None;
    }

    /// For how many milliseconds to wait for it.
    pub fn pause(&self) -> Option<u32> {
        self.pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_longer_each_time_and_not_for_ever() {
        let mut away = Away::default();
        assert_eq!(away.pause(), None);
        let mut pauses = Vec::new();
        for _ in 0..11 {
            away.failed();
            pauses.extend(away.pause());
        }
        assert_eq!(pauses[..4], [1000, 2000, 4000, 8000]);
        assert_eq!(pauses[8..], [256_000; 3]);
        away.is_back();
        assert_eq!(away.pause(), None);
        away.failed();
        assert_eq!(away.pause(), Some(1000));
    }
}
